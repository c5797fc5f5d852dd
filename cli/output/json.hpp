// Reading the supervisor's JSON without believing it: a member that is missing or of another type reads as nothing,
// and no exception leaves the parser.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop::cli {

using Json = nlohmann::ordered_json;

/// unsupported/… when `text` is no JSON document.
Result<Json> parse_json(std::string_view text);
/// The document for programs: indented, ASCII only, so that no terminal acts on it either.
std::string printed(const Json& json);

/// The member's value; empty or nothing if it is not there or of another type.
std::string text_at(const Json& object, const char* key);
std::optional<std::int64_t> number_at(const Json& object, const char* key);
bool flag_at(const Json& object, const char* key);
/// An empty array if it is not there.
const Json& list_at(const Json& object, const char* key);

}  // namespace orlop::cli
