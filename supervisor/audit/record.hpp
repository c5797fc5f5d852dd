// One change or refusal, and the chain of hashes that its line stands in.
//
// A line is one JSON object (strict, ASCII, members in a fixed order) and a newline. `prev` is the SHA-256 of the line
// before, without its newline; of the very first, 64 zeros. Whoever edits, removes, doubles or moves a line breaks the
// chain at that place.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/time.hpp"

namespace orlop::audit {

/// A process that asked over the control socket (SO_PEERCRED and its /proc/PID/exe).
struct Client {
  uid_t uid = 0;
  pid_t pid = 0;
  std::string executable = {};

  friend bool operator==(const Client&, const Client&) = default;
};

enum class Verdict : std::uint8_t {
  allowed,  ///< about to be done
  denied,   ///< refused
};
/// `allowed` or `denied`.
std::string_view to_string(Verdict verdict);

/// What is recorded. Texts may hold any bytes.
struct Record {
  std::optional<Client> actor = {};  ///< nothing: orlop itself
  std::string what = {};             ///< the act, such as `container.start`
  std::string object = {};           ///< on what, such as `container/web`
  std::string why = {};              ///< the reason: `client`, `exited`, `no role`
  std::string before = {};           ///< the state that it changes; may be empty
  std::string after = {};            ///< the state that it leads to; may be empty
  Verdict verdict = Verdict::allowed;
  std::uint64_t repeats = 1;  ///< how many of the same kind this line stands for

  friend bool operator==(const Record&, const Record&) = default;
};

/// A place in the chain: the last line there, its number and hash. Before the first line: 0 and zeros.
struct Link {
  std::uint64_t seq = 0;
  Sha256 hash{};

  friend bool operator==(const Link&, const Link&) = default;
};

/// A line as it was read back.
struct Entry {
  Record record;
  std::uint64_t seq = 0;
  WallTime time{};
  Sha256 prev{};

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// A longer line is refused; the record's texts are then too long.
inline constexpr std::size_t max_line_bytes = 65536;

/// The line (with newline) that follows `previous`, and the link that it makes. limit/… when it is too long.
struct NextLine {
  std::string line;
  Link link;
};
Result<NextLine> chain(const Record& record, WallTime time, const Link& previous);
/// Reads a line, given without its newline. corrupt/… for anything that chain() would not have written: a missing,
/// unknown or doubled member, a wrong type, a comment.
Result<Entry> parse_line(std::string_view line);

}  // namespace orlop::audit
