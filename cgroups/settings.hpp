// Limits as the files and values that the kernel takes: a pure function, so that what a start would write can be
// printed and compared without privileges.
#pragma once

#include <string>
#include <vector>

#include "cgroups/facts.hpp"
#include "cgroups/limits.hpp"

namespace orlop::cgroups {

/// One write of a start: `value` into `file` of the leaf.
struct Setting {
  Controller controller = Controller::cpu;  ///< in whose hierarchy
  std::string file;
  std::string value;

  friend bool operator==(const Setting&, const Setting&) = default;
};

/// What to write into a new leaf, in order.
///
/// unsupported/… when a limit cannot be kept on this host: the cpu, memory or pids controller is lacking (a container
/// is never started without these), `cpus` without cpuset, memory_high or memory_min with memory on v1.
/// Source: Documentation/admin-guide/cgroup-v2.rst; Documentation/admin-guide/cgroup-v1/{memory,cpusets,pids}.rst.
Result<std::vector<Setting>> settings(const Limits& limits, const Facts& facts);

/// The file and value that give a leaf `weight` (1 to 10,000, 100 being usual): cpu.weight, or cpu.shares on v1.
Setting cpu_weight_setting(std::uint64_t weight, Version version);

}  // namespace orlop::cgroups
