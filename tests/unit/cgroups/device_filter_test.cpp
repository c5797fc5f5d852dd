#include "cgroups/device_filter.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace orlop::cgroups;

namespace {

// Runs the few instructions that device_program() may use, as the kernel would.
int run(const std::vector<bpf_insn>& program, std::uint32_t type, std::uint32_t major, std::uint32_t minor) {
  const std::array<std::uint32_t, 3> context = {type, major, minor};
  std::array<std::uint64_t, 11> registers{};
  for (std::size_t i = 0; i < program.size(); ++i) {
    const bpf_insn& in = program[i];
    switch (in.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        registers.at(in.dst_reg) = context.at(static_cast<std::size_t>(in.off) / 4);
        break;
      case BPF_ALU64 | BPF_AND | BPF_K:
        registers.at(in.dst_reg) &= static_cast<std::uint64_t>(in.imm);
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        registers.at(in.dst_reg) = static_cast<std::uint64_t>(in.imm);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        if (registers.at(in.dst_reg) == static_cast<std::uint64_t>(in.imm)) i += static_cast<std::size_t>(in.off);
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (registers.at(in.dst_reg) != static_cast<std::uint64_t>(in.imm)) i += static_cast<std::size_t>(in.off);
        break;
      case BPF_JMP | BPF_EXIT:
        return static_cast<int>(registers[0]);
      default:
        FAIL("an instruction that is not expected");
    }
  }
  FAIL("the program runs off its end");
  return -1;
}

constexpr std::uint32_t character = BPF_DEVCG_DEV_CHAR | (BPF_DEVCG_ACC_READ << 16);
constexpr std::uint32_t block = BPF_DEVCG_DEV_BLOCK | (BPF_DEVCG_ACC_READ << 16);

}  // namespace

TEST_CASE("the device filter allows the eight of the default profile and nothing else", "[cgroups]") {
  const std::vector<bpf_insn> program = device_program(default_devices());
  for (const std::uint32_t minor : {3U, 5U, 7U, 8U, 9U}) CHECK(run(program, character, 1, minor) == 1);
  CHECK(run(program, character, 5, 0) == 1);
  CHECK(run(program, character, 5, 2) == 1);
  CHECK(run(program, character, 136, 0) == 1);
  CHECK(run(program, character, 136, 4711) == 1);
  CHECK(run(program, character, 1, 1) == 0);     // mem
  CHECK(run(program, character, 1, 11) == 0);    // kmsg
  CHECK(run(program, character, 5, 1) == 0);     // console
  CHECK(run(program, character, 10, 229) == 0);  // fuse
  CHECK(run(program, block, 1, 3) == 0);
  CHECK(run(program, block, 8, 0) == 0);
}

TEST_CASE("a device filter that allows nothing refuses everything", "[cgroups]") {
  CHECK(run(device_program({}), character, 1, 3) == 0);
}
