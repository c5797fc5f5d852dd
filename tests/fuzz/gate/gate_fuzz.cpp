#include "tests/fuzz/gate/gate_fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/control/gate.hpp"

namespace orlop::control {
namespace {

constexpr uid_t uid = 1000;

void require(bool holds) {
  if (!holds) std::abort();
}

// What sd-bus may see before the first message.
void check_line(const std::string& line) {
  static constexpr std::array<std::string_view, 8> known = {
      std::string_view("\0", 1), "AUTH\r\n",   "AUTH ANONYMOUS\r\n", "AUTH ANONYMOUS 6f\r\n", "DATA\r\n",
      "NEGOTIATE_UNIX_FD\r\n",   "CANCEL\r\n", "ERROR\r\n"};
  require(line == "BEGIN\r\n" || std::ranges::find(known, line) != known.end());
}

// All that is forwarded of `bytes` in pieces of `piece` bytes; nothing if they are refused.
std::optional<std::string> forwarded(std::string_view bytes, std::size_t piece, std::size_t fds) {
  Gate gate(uid, max_call_fds);
  std::string out;
  std::size_t fds_out = 0;
  while (!bytes.empty()) {
    const std::string_view next = bytes.substr(0, piece);
    bytes.remove_prefix(next.size());
    const bool may_bring = gate.is_authenticated();
    const std::size_t brought = may_bring ? std::exchange(fds, 0) : 0;
    require(gate.want() >= 1 && gate.want() <= max_call_bytes);
    const Result<std::vector<Unit>> units = gate.feed(next, brought);
    if (!units) return std::nullopt;
    for (const Unit& unit : *units) {
      if (!unit.is_call) check_line(unit.bytes);
      require(unit.bytes.size() <= max_call_bytes);
      require(unit.fds <= max_call_fds);
      fds_out += unit.fds;
      out += unit.bytes;
    }
  }
  require(fds_out <= max_call_fds);
  return out;
}

}  // namespace

void check_gate(std::string_view input) {
  if (input.empty()) return;
  const auto choice = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  const std::optional<std::string> whole = forwarded(input, std::max<std::size_t>(input.size(), 1), 0);
  require(forwarded(input, 1, 0) == whole);
  require(forwarded(input, 1 + choice % 64, 0) == whole);
  (void)forwarded(input, 1 + choice % 64, choice / 64);  // for what require() finds inside
}

}  // namespace orlop::control

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  orlop::control::check_gate({reinterpret_cast<const char*>(data), size});
  return 0;
}
