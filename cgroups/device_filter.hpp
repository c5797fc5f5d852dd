// Which device nodes the processes of a group may open: a BPF program on the group's cgroup2 leaf. It works on every
// kind of host and needs no controller, so the devices controller of v1 is not used beside it.
//
// It is a second wall: every mount of a container but /dev is nodev and no process of one can make a node.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <linux/bpf.h>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::cgroups {

/// A character device that may be used: read, written and made.
struct AllowedDevice {
  std::uint32_t major = 0;
  std::optional<std::uint32_t> minor;  ///< nothing: every minor
};
/// null, zero, full, random, urandom, tty, ptmx, and the terminals of devpts (Documentation/admin-guide/devices.txt).
std::span<const AllowedDevice> default_devices();

/// The program: 1 for an allowed character device, 0 for everything else.
/// Source: linux/bpf.h, struct bpf_cgroup_dev_ctx; Documentation/bpf/standardization/instruction-set.rst.
std::vector<bpf_insn> device_program(std::span<const AllowedDevice> allowed);

/// Loads the program. Needs CAP_BPF or CAP_SYS_ADMIN, CONFIG_CGROUP_BPF.
Result<UniqueFd> load_device_filter(std::span<const bpf_insn> program);
/// Puts the loaded `program` on `group`, where it stays until the group is removed, whoever dies.
Result<void> attach_device_filter(BorrowedFd program, BorrowedFd group);

}  // namespace orlop::cgroups
