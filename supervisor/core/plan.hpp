// What an apply would do: shown by `apply --dry-run` and before every apply, and what the apply then does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "supervisor/core/state.hpp"

namespace orlop::core {

enum class Action : std::uint8_t { create, replace, remove, keep };
/// `create`, `replace`, `remove`, `keep`.
std::string_view to_string(Action action);
/// `+`, `~`, `-`, `=`.
char sign(Action action);

struct Planned {
  Action action = Action::keep;
  std::string name;
  std::string why;
  friend bool operator==(const Planned&, const Planned&) = default;
};

/// What `host` means for one container; either may be missing (nullptr), not both.
Planned plan(const std::string& name, const Container* now, const Wanted* wanted);
/// What applying `host` would do, by name.
std::vector<Planned> plan(const State& state, const HostWanted& host);

}  // namespace orlop::core
