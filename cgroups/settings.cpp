#include "cgroups/settings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orlop::cgroups {
namespace {

constexpr std::uint64_t period_us = 100'000;  // the kernel's default period of a CPU quota
constexpr std::uint64_t usual_weight = 100;   // cgroup-v2.rst, cpu.weight
constexpr std::uint64_t usual_shares = 1024;  // sched-design-CFS, cpu.shares

// Limits without which no container is started, and what their absence would mean.
constexpr std::array needed = {Controller::cpu, Controller::memory, Controller::pids};

}  // namespace

std::optional<Version> Facts::version_of(Controller controller) const {
  for (const auto& [usable, version] : controllers)
    if (usable == controller) return version;
  return std::nullopt;
}

Setting cpu_weight_setting(std::uint64_t weight, Version version) {
  const std::uint64_t bounded = std::clamp<std::uint64_t>(weight, 1, 10'000);
  if (version == Version::v2)
    return {.controller = Controller::cpu, .file = "cpu.weight", .value = fmt::to_string(bounded)};
  return {.controller = Controller::cpu,
          .file = "cpu.shares",
          .value = fmt::to_string(std::max<std::uint64_t>(bounded * usual_shares / usual_weight, 2))};
}

Result<std::vector<Setting>> settings(const Limits& limits, const Facts& facts) {
  for (const Controller controller : needed)
    if (!facts.version_of(controller))
      return fail(
          ErrorKind::unsupported,
          fmt::format("a container cannot be limited here: the cgroup controller {} is lacking", to_string(controller)),
          "'orlop doctor' says why it is lacking");
  const bool memory_v2 = facts.version_of(Controller::memory) == Version::v2;
  if (!memory_v2 && (limits.memory_min.count != 0 || limits.memory_high))
    return fail(ErrorKind::unsupported,
                fmt::format("memory.{} cannot be kept: this host has the memory controller on cgroup v1",
                            limits.memory_high ? "high" : "min"),
                "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or leave the limit out");
  const std::optional<Version> cpuset = facts.version_of(Controller::cpuset);
  if (!limits.cpus.empty() && !cpuset)
    return fail(ErrorKind::unsupported,
                "the CPUs of a container cannot be chosen: the cgroup controller cpuset is lacking",
                "leave 'cpus' out, or see 'orlop doctor'");

  std::vector<Setting> all;
  const auto set = [&all](Controller controller, std::string file, std::string value) {
    all.push_back({.controller = controller, .file = std::move(file), .value = std::move(value)});
  };
  set(Controller::pids, "pids.max", fmt::to_string(limits.pids_max));
  all.push_back(cpu_weight_setting(limits.cpu_weight, *facts.version_of(Controller::cpu)));
  const std::uint64_t quota_us = limits.cpu_max_millis * (period_us / 1000);
  if (facts.version_of(Controller::cpu) == Version::v2) {
    set(Controller::cpu, "cpu.max", fmt::format("{} {}", quota_us, period_us));
  } else {
    set(Controller::cpu, "cpu.cfs_period_us", fmt::to_string(period_us));
    set(Controller::cpu, "cpu.cfs_quota_us", fmt::to_string(quota_us));
  }
  if (memory_v2) {
    set(Controller::memory, "memory.max", fmt::to_string(limits.memory_max.count));
    if (limits.memory_high) set(Controller::memory, "memory.high", fmt::to_string(limits.memory_high->count));
    if (limits.memory_min.count != 0) set(Controller::memory, "memory.min", fmt::to_string(limits.memory_min.count));
    if (facts.swap_limit) set(Controller::memory, "memory.swap.max", fmt::to_string(limits.swap_max.count));
    set(Controller::memory, "memory.oom.group", "1");
  } else {
    set(Controller::memory, "memory.limit_in_bytes", fmt::to_string(limits.memory_max.count));
    if (facts.swap_limit)  // on v1 the second limit is of memory and swap together, and never below the first
      set(Controller::memory, "memory.memsw.limit_in_bytes",
          fmt::to_string(limits.memory_max.count + limits.swap_max.count));
    if (limits.swap_max.count == 0) set(Controller::memory, "memory.swappiness", "0");
  }
  if (!limits.cpus.empty()) set(Controller::cpuset, "cpuset.cpus", limits.cpus);
  return all;
}

}  // namespace orlop::cgroups
