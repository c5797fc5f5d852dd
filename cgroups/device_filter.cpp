#include "cgroups/device_filter.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace orlop::cgroups {
namespace {

constexpr std::array<AllowedDevice, 8> defaults = {{
    {.major = 1, .minor = 3},               // null
    {.major = 1, .minor = 5},               // zero
    {.major = 1, .minor = 7},               // full
    {.major = 1, .minor = 8},               // random
    {.major = 1, .minor = 9},               // urandom
    {.major = 5, .minor = 0},               // tty
    {.major = 5, .minor = 2},               // ptmx
    {.major = 136, .minor = std::nullopt},  // pts/*
}};

// Registers: r0 is the result, r1 the context at entry, r2 to r4 what is read from it.
bpf_insn load_word(std::uint8_t destination, std::size_t offset) {
  return {.code = BPF_LDX | BPF_MEM | BPF_W,
          .dst_reg = static_cast<std::uint8_t>(destination & 0xfU),
          .src_reg = BPF_REG_1,
          .off = static_cast<std::int16_t>(offset),
          .imm = 0};
}
bpf_insn instruction(std::uint8_t code, std::uint8_t destination, std::uint32_t immediate, std::int16_t jump = 0) {
  return {.code = code,
          .dst_reg = static_cast<std::uint8_t>(destination & 0xfU),
          .src_reg = 0,
          .off = jump,
          .imm = static_cast<std::int32_t>(immediate)};
}

long bpf(int command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

}  // namespace

std::span<const AllowedDevice> default_devices() {
  return defaults;
}

std::vector<bpf_insn> device_program(std::span<const AllowedDevice> allowed) {
  constexpr std::uint8_t jump_unless_equal = BPF_JMP | BPF_JNE | BPF_K;
  constexpr std::uint8_t set = BPF_ALU64 | BPF_MOV | BPF_K;
  constexpr std::uint8_t leave = BPF_JMP | BPF_EXIT;
  std::vector<bpf_insn> program = {
      load_word(BPF_REG_2, offsetof(bpf_cgroup_dev_ctx, access_type)),  // the type of device is in the lower half
      instruction(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0xffff),
      load_word(BPF_REG_3, offsetof(bpf_cgroup_dev_ctx, major)),
      load_word(BPF_REG_4, offsetof(bpf_cgroup_dev_ctx, minor)),
      instruction(set, BPF_REG_0, 0),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, BPF_DEVCG_DEV_CHAR, 1),
      instruction(leave, 0, 0),
  };
  for (const AllowedDevice& device : allowed) {
    program.push_back(instruction(jump_unless_equal, BPF_REG_3, device.major, device.minor ? 3 : 2));
    if (device.minor) program.push_back(instruction(jump_unless_equal, BPF_REG_4, *device.minor, 2));
    program.push_back(instruction(set, BPF_REG_0, 1));
    program.push_back(instruction(leave, 0, 0));
  }
  program.push_back(instruction(leave, 0, 0));
  return program;
}

Result<UniqueFd> load_device_filter(std::span<const bpf_insn> program) {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);  // a union: every byte the kernel reads must be 0 if unused
  static constexpr char license[] = "";            // it calls no function of the kernel that would ask for one
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = reinterpret_cast<std::uintptr_t>(license);
  const long fd = bpf(BPF_PROG_LOAD, attributes);  // close-on-exec from birth (bpf(2))
  if (fd < 0) return fail_errno(errno, "bpf(PROG_LOAD)", "cannot load the device filter");
  return UniqueFd(static_cast<int>(fd));
}

Result<void> attach_device_filter(BorrowedFd program, BorrowedFd group) {
  bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = static_cast<std::uint32_t>(group.get());
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;  // beside a filter of a level above, which then also must agree
  if (bpf(BPF_PROG_ATTACH, attributes) != 0)
    return fail_errno(errno, "bpf(PROG_ATTACH)", "cannot attach the device filter");
  return {};
}

}  // namespace orlop::cgroups
