// What one container may use, and what is kept for it: plain data, comparable. Every limit is finite by default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/size.hpp"

namespace orlop::cgroups {

/// The limits of one leaf. Names follow Documentation/admin-guide/cgroup-v2.rst; units are in the name or the type.
struct Limits {
  std::uint64_t cpu_weight = 100;         ///< 1 to 10,000: the share of what no CPU minimum claims
  std::uint64_t cpu_max_millis = 1000;    ///< thousandths of one CPU, at least 10
  std::uint64_t cpu_min_millis = 0;       ///< thousandths of one CPU kept by admission and weights (see weights.hpp)
  Bytes memory_max = 256_MiB;             ///< a group that needs more is killed as a whole
  std::optional<Bytes> memory_high = {};  ///< throttling starts here; v2 only; unset unless written
  Bytes memory_min{};                     ///< never reclaimed; v2 only
  Bytes swap_max{};                       ///< beyond memory_max; 0: none
  std::uint64_t pids_max = 256;           ///< processes and threads
  std::string cpus = {};                  ///< a list of CPUs as in cpuset(7), such as "0-3,7"; empty: all

  friend bool operator==(const Limits&, const Limits&) = default;
};

}  // namespace orlop::cgroups
