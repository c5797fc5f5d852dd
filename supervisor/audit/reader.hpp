// Reads the audit log back from descriptors: shows it, and says whether it is whole.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/audit/head.hpp"
#include "supervisor/audit/record.hpp"

namespace orlop::audit {

struct LogFile {
  std::uint64_t number = 0;
  UniqueFd fd;
};
/// The log as it stands: files ascending, and the head as text (it may be unreadable: verify says so).
struct Source {
  std::vector<LogFile> files;
  std::optional<std::string> head;
};
/// A Source on its way to another process: `meta` (JSON) says which of `fds` is what.
struct Description {
  std::string meta;
  std::vector<UniqueFd> fds;
};
/// Opens the log in `directory` with the head in `state`. The head is read first, so that lines written meanwhile lie
/// beyond it and are no fault.
Result<Source> open_source(BorrowedFd directory, BorrowedFd state);
Description describe(Source source);
/// corrupt/… when `meta` is not of this form or does not fit the number of descriptors.
Result<Source> parse_description(Description description);

enum class FaultKind : std::uint8_t {
  changed,     ///< the line's hash is not the one that the next line, the head or the outside head has for it
  unreadable,  ///< the bytes there are not a record
  missing,     ///< a record that must be there is not: deleted, or its file is
  misplaced,   ///< a record stands where another belongs: moved, or put in a second time
  cut,         ///< the log ends before the head
  head,        ///< the head is unreadable, or missing beside a log
};
/// `changed`, `unreadable`, …
std::string_view to_string(FaultKind kind);

/// The first thing that is wrong.
struct Fault {
  FaultKind kind = FaultKind::changed;
  std::uint64_t seq = 0;   ///< the first bad record; for `head` 0
  std::string file = {};   ///< where it stands or should stand
  std::uint64_t line = 0;  ///< counted from 1; 0: no line
  std::string explanation = {};
};

struct Verified {
  std::uint64_t records = 0;        ///< that are sound
  std::uint64_t first_seq = 0;      ///< 0: the log is empty
  Link last = {};                   ///< the last sound record: what to send outside
  std::uint64_t beyond_head = 0;    ///< sound records that were not known to be on the disk yet
  std::optional<Fault> fault = {};  ///< nothing: whole
};

/// Checks every record. `outside` is a head that was kept elsewhere: it must lie in this chain.
/// An error is one of reading; what is wrong with the log is Verified::fault.
Result<Verified> verify(const Source& source, const std::optional<Link>& outside = std::nullopt);
/// 0: whole; 1: a fault.
int exit_code(const Verified& verified);

struct Filter {
  std::optional<std::uint64_t> last = {};
  std::optional<WallTime> since = {};
};
/// Gives the wanted records in order, each with its line as it stands in the file. A line that is not a record is given
/// without one: showing never hides what verify would name.
Result<void> show(const Source& source, const Filter& filter,
                  const std::function<void(const std::optional<Entry>&, std::string_view line)>& give);

}  // namespace orlop::audit
