// Which cgroup hierarchies this host has and where the caller stands in them.
//
// Every container has a leaf in the cgroup2 tree, whatever the host: it is the container's identity, and CPU time,
// freeze, kill and the device filter work there without any controller. A controller is used where the kernel has it:
// in cgroup2, or in a v1 hierarchy beside it. So cpuacct, freezer and devices of v1 are never needed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace orlop::cgroups {

/// The controllers that orlop sets limits in.
enum class Controller : std::uint8_t { cpu, memory, pids, cpuset };
inline constexpr std::array all_controllers = {Controller::cpu, Controller::memory, Controller::pids,
                                               Controller::cpuset};
/// The kernel's name of it.
std::string_view to_string(Controller controller);

/// How the host has mounted its hierarchies.
enum class Kind : std::uint8_t {
  unified,  ///< cgroup2 alone
  hybrid,   ///< cgroup2 beside v1 hierarchies
  v1,       ///< v1 hierarchies alone: orlop mounts cgroup2 for itself, detached, where nobody sees it
};
std::string_view to_string(Kind kind);

/// The cgroup2 tree.
struct Unified {
  std::string mount_point;  ///< empty: mounted nowhere
  std::string own_group;    ///< the caller's group below the mount, "system.slice/orlop.service"; empty: its top

  friend bool operator==(const Unified&, const Unified&) = default;
};

/// A v1 hierarchy with a controller that orlop uses.
struct V1Hierarchy {
  std::string mount_point;
  std::vector<Controller> controllers;  ///< never empty; several where the host mounts them together
  std::string all;  ///< with those that orlop does not use, "cpu,cpuacct": what mount(2) calls the hierarchy

  friend bool operator==(const V1Hierarchy&, const V1Hierarchy&) = default;
};

struct Hierarchies {
  Kind kind = Kind::unified;
  Unified unified;
  std::vector<V1Hierarchy> v1;

  friend bool operator==(const Hierarchies&, const Hierarchies&) = default;
};

/// Reads the two files of /proc. unsupported/… when the kernel has no cgroup2, or none of its mounts shows the caller's
/// group. Source: cgroups(7), proc_pid_mountinfo(5).
Result<Hierarchies> parse_hierarchies(std::string_view mountinfo, std::string_view cgroup);

/// The hierarchies as the calling process sees them now.
Result<Hierarchies> discover();

}  // namespace orlop::cgroups
