#include "supervisor/control/gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace orlop::control {
namespace {

// D-Bus specification, "Message Format": endianness, type, flags, version, body length, serial, length of the fields.
constexpr std::size_t fixed_header_bytes = 16;
constexpr char method_call = 1;
constexpr char protocol_version = 1;

// What stands for a checked identity before sd-bus: a trace string, "o" in hexadecimal.
constexpr std::string_view anonymous = "AUTH ANONYMOUS";
constexpr std::string_view trace = " 6f";

std::uint32_t number_at(std::string_view bytes, std::size_t offset, bool big_endian) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number = number << 8 | static_cast<unsigned char>(bytes[offset + (big_endian ? i : 3 - i)]);
  return number;
}

}  // namespace

std::size_t Gate::want() const {
  if (phase_ != Phase::messages) return max_line_bytes;
  return (size_ == 0 ? fixed_header_bytes : size_) - bytes_.size();
}

Result<std::vector<Unit>> Gate::feed(std::string_view bytes, std::size_t fds) {
  std::vector<Unit> units;
  fds_ += fds;
  if (fds_ > max_fds_) return fail(ErrorKind::limit, fmt::format("more than {} descriptors in one message", max_fds_));
  while (!bytes.empty()) {
    if (phase_ == Phase::nul) {
      if (bytes.front() != '\0') return fail(ErrorKind::corrupt, "the first byte is not NUL");
      units.push_back({.bytes = std::string(1, '\0')});
      bytes.remove_prefix(1);
      phase_ = Phase::lines;
    } else if (phase_ == Phase::lines) {
      const char next = bytes.front();
      bytes.remove_prefix(1);
      const bool ends = next == '\n' && bytes_.ends_with('\r');
      if (!ends && next != '\r' && (next < ' ' || next > '~'))
        return fail(ErrorKind::corrupt, "a byte that belongs to no line of authentication");
      if (bytes_.size() + 1 > max_line_bytes) return fail(ErrorKind::limit, "a line of authentication is too long");
      bytes_ += next;
      if (!ends) continue;
      if (++lines_ > max_lines) return fail(ErrorKind::limit, "too many lines of authentication");
      Result<std::string> line = translate(std::string_view(bytes_).substr(0, bytes_.size() - 2));
      if (!line) return pass(std::move(line));
      units.push_back({.bytes = *line + "\r\n"});
      bytes_.clear();
      if (*line == "BEGIN") phase_ = Phase::messages;
    } else {
      const std::size_t taken = std::min(bytes.size(), want());
      bytes_ += bytes.substr(0, taken);
      bytes.remove_prefix(taken);
      if (size_ == 0 && bytes_.size() == fixed_header_bytes) {
        const Result<std::size_t> size = message_size();
        if (!size) return std::unexpected(size.error());
        size_ = *size;
      }
      if (size_ == 0 || bytes_.size() < size_) continue;
      units.push_back({.bytes = std::exchange(bytes_, {}), .fds = std::exchange(fds_, 0), .is_call = true});
      size_ = 0;
    }
  }
  if (fds_ > 0 && !is_authenticated()) return fail(ErrorKind::corrupt, "descriptors before BEGIN");
  return units;
}

// D-Bus specification, "Authentication Protocol". Mechanisms other than EXTERNAL are answered by the list of those
// there are, as a client expects that tries its own first.
Result<std::string> Gate::translate(std::string_view line) {
  if (line == "NEGOTIATE_UNIX_FD") return std::string(line);
  if (line == "BEGIN") {
    if (!identified_) return fail(ErrorKind::denied, "BEGIN before authentication");
    return std::string(line);
  }
  if (line == "DATA" || line.starts_with("DATA ")) {
    if (!std::exchange(awaits_identity_, false)) return fail(ErrorKind::corrupt, "DATA that nobody asked for");
    const Result<void> claim = check_identity(line.substr(std::min<std::size_t>(line.size(), 5)));
    if (!claim) return std::unexpected(claim.error());
    identified_ = true;
    return std::string("DATA");
  }
  identified_ = awaits_identity_ = false;  // whatever else comes begins anew
  if (line == "CANCEL") return std::string(line);
  if (line == "ERROR" || line.starts_with("ERROR ")) return std::string("ERROR");
  if (line == "AUTH EXTERNAL") {
    awaits_identity_ = true;
    return std::string(anonymous);
  }
  constexpr std::string_view external = "AUTH EXTERNAL ";
  if (line.starts_with(external)) {
    const Result<void> claim = check_identity(line.substr(external.size()));
    if (!claim) return std::unexpected(claim.error());
    identified_ = true;
    return std::string(anonymous) + std::string(trace);
  }
  if (line == "AUTH ANONYMOUS" || line.starts_with("AUTH ANONYMOUS "))
    return fail(ErrorKind::denied, "anonymous authentication");
  if (line == "AUTH" || line.starts_with("AUTH ")) return std::string("AUTH");
  return fail(ErrorKind::corrupt, "an unknown line of authentication");
}

// The claim is the decimal uid, its characters in hexadecimal; an empty one claims what the kernel says.
Result<void> Gate::check_identity(std::string_view hex_digits) const {
  if (hex_digits.empty()) return {};
  std::string expected;
  for (const char digit : std::to_string(peer_)) expected += fmt::format("{:02x}", digit);
  if (hex_digits != expected) return fail(ErrorKind::denied, "a claim to be someone else");
  return {};
}

Result<std::size_t> Gate::message_size() const {
  const char endianness = bytes_[0];
  if (endianness != 'l' && endianness != 'B') return fail(ErrorKind::corrupt, "a message of unknown byte order");
  if (bytes_[1] != method_call) return fail(ErrorKind::corrupt, "a message that is not a method call");
  if (bytes_[3] != protocol_version) return fail(ErrorKind::corrupt, "a message of another protocol version");
  const std::uint64_t body = number_at(bytes_, 4, endianness == 'B');
  const std::uint64_t fields = number_at(bytes_, 12, endianness == 'B');
  const std::uint64_t size = fixed_header_bytes + (fields + 7) / 8 * 8 + body;
  if (size > max_call_bytes)
    return fail(ErrorKind::limit, fmt::format("a message of {} bytes; {} are allowed", size, max_call_bytes));
  return static_cast<std::size_t>(size);
}

}  // namespace orlop::control
