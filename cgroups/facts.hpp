// What this host's cgroups give and what they lack, for `doctor` and for the choice of files.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cgroups/hierarchies.hpp"

namespace orlop::cgroups {

enum class Version : std::uint8_t { v1, v2 };

/// Something that is missing, in words for an operator.
struct Lack {
  std::string what;         ///< "controller memory"
  std::string why;          ///< what was tried and what the kernel said
  std::string consequence;  ///< what orlop therefore does not do
  std::string remedy;       ///< may be empty

  friend bool operator==(const Lack&, const Lack&) = default;
};

struct Facts {
  Kind kind = Kind::unified;
  std::string group;                                        ///< orlop's own subtree, as a path below the cgroup2 mount
  std::vector<std::pair<Controller, Version>> controllers;  ///< usable ones and where each lives
  bool swap_limit = false;                                  ///< swap can be limited
  bool device_filter = false;                               ///< device nodes are filtered by a BPF program
  std::vector<Lack> lacking;

  /// Where `controller` lives; nothing: it cannot be used.
  [[nodiscard]] std::optional<Version> version_of(Controller controller) const;
  friend bool operator==(const Facts&, const Facts&) = default;
};

}  // namespace orlop::cgroups
