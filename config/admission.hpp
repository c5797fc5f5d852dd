// Whether what a host file guarantees fits the machine. Pure: the caller says what the machine has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <vector>

#include "base/error.hpp"
#include "base/size.hpp"
#include "config/host.hpp"

namespace orlop::config {

/// What admission needs to know of a machine.
struct Machine {
  Bytes memory;                   ///< all of it
  std::uint64_t cpu_millis = 0;   ///< thousandths of a CPU
  std::uint64_t cpu_count = 0;    ///< CPUs are numbered below this
  bool keeps_memory_min = true;   ///< the memory controller is cgroup v2's
  std::size_t containers = 8192;  ///< places in the guardian
};

/// Refuses a host whose guaranteed memory or CPU and reserve exceed the machine, whose `cpus` name a CPU that is not
/// there, that has more containers than places, or that asks for a memory minimum where none can be kept (unless
/// `allow.best_effort_memory_min` is written). All errors at once, each at its place.
std::expected<void, std::vector<Error>> admit(const Host& host, const Machine& machine);

}  // namespace orlop::config
