// Containers as tables and pages, from the supervisor's JSON. Pure.
#pragma once

#include <optional>
#include <string>

#include "base/time.hpp"
#include "cli/output/json.hpp"
#include "cli/output/terminal.hpp"

namespace orlop::cli {

/// The container `name` in the answer of Status; nothing: there is none.
const Json* find_container(const Json& status, const std::string& name);
/// Whether `status NAME` says that all is well: it runs and is not unhealthy.
bool is_well(const Json& container);
/// Nothing will happen to it by itself: `stopped` or `failed`.
bool is_at_rest(const std::string& state);

/// The table of `containers` (an array of what Status lists).
std::string containers_text(const Json& containers, const Terminal& terminal, WallTime now);
/// What must be said before the table when the supervisor is not simply running; else empty.
std::string supervisor_text(const Json& status, const Terminal& terminal);
/// `inspect NAME` for people.
std::string inspect_text(const Json& container, const Terminal& terminal, WallTime now);
/// What apply did or would do: `+ create web (new)`, a line each.
std::string plan_text(const Json& answer, const Terminal& terminal);
/// Names and where they are mounted, of the answer of ListVolumes.
std::string volumes_text(const Json& answer, const Terminal& terminal);
std::string volume_text(const Json& volume);

}  // namespace orlop::cli
