#include "config/admission.hpp"

#include <fmt/format.h>

#include <charconv>

#include "config/diagnostics.hpp"

namespace orlop::config {
namespace {

std::string cpus(std::uint64_t millis) {
  return fmt::format("{} CPUs", static_cast<double>(millis) / 1000);
}

/// Adds up what containers are promised and refuses the one with which it no longer fits.
template <class Amount, class Show>
void add_up(const Host& host, std::uint64_t reserve, std::uint64_t machine, std::string_view what, Amount amount,
            Show show, Diagnostics& diagnostics) {
  const std::string reserve_key = fmt::format("host.reserve.{}", what);
  if (reserve > machine) {
    diagnostics.refuse(host.places.of(reserve_key),
                       fmt::format("host.reserve.{} is {}, and the machine has {}", what, show(reserve), show(machine)),
                       fmt::format("lower {}", reserve_key), ErrorKind::limit);
    return;
  }
  const std::string key = fmt::format("resources.{}.min", what);
  std::uint64_t sum = reserve;
  for (const auto& [name, container] : host.containers) {
    sum += amount(container);
    if (sum <= machine) continue;
    diagnostics.refuse(
        container.places.of(key),
        fmt::format("container '{}' asks for a minimum of {}; with the reserve of {} and the minimums before it that "
                    "makes {}, and the machine has {}",
                    name, show(amount(container)), show(reserve), show(sum), show(machine)),
        fmt::format("lower a {}, or {}", key, reserve_key), ErrorKind::limit);
    return;
  }
}

/// The highest CPU of a valid list; its last number, as lists ascend.
std::uint64_t last_cpu(std::string_view list) {
  list.remove_prefix(list.find_last_of(",-") + 1);
  std::uint64_t cpu = 0;
  std::from_chars(list.data(), list.data() + list.size(), cpu);
  return cpu;
}

}  // namespace

std::expected<void, std::vector<Error>> admit(const Host& host, const Machine& machine) {
  Diagnostics diagnostics({});
  if (host.containers.size() > machine.containers)
    diagnostics.refuse(host.places.of("container"), fmt::format("the file has {} containers", host.containers.size()),
                       fmt::format("at most {} have a place", machine.containers), ErrorKind::limit);
  add_up(
      host, host.reserve.memory.count, machine.memory.count, "memory",
      [](const Container& c) { return c.limits.memory_min.count; },
      [](std::uint64_t count) { return format_bytes({count}); }, diagnostics);
  add_up(
      host, host.reserve.cpu_millis, machine.cpu_millis, "cpu",
      [](const Container& c) { return c.limits.cpu_min_millis; }, cpus, diagnostics);
  for (const auto& [name, container] : host.containers) {
    const cgroups::Limits& limits = container.limits;
    if (limits.memory_min.count > 0 && !machine.keeps_memory_min && !container.allow.best_effort_memory_min)
      diagnostics.refuse(container.places.of("resources.memory.min"),
                         fmt::format("container '{}' asks for memory.min {}, which cgroup v1 cannot keep", name,
                                     format_bytes(limits.memory_min)),
                         "leave it out, or accept best effort: allow.best_effort_memory_min = true",
                         ErrorKind::unsupported);
    if (!limits.cpus.empty() && last_cpu(limits.cpus) >= machine.cpu_count)
      diagnostics.refuse(container.places.of("cpus"),
                         fmt::format("container '{}' may run on CPUs {}, and the machine has {}", name, limits.cpus,
                                     machine.cpu_count),
                         fmt::format("allowed: 0 to {}", machine.cpu_count - 1), ErrorKind::unsupported);
  }
  if (diagnostics.empty()) return {};
  return std::unexpected(std::move(diagnostics).take());
}

}  // namespace orlop::config
