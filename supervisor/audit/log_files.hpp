// The files of the audit log: appends groups of lines, rotates, recovers. Blocking; used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/size.hpp"
#include "supervisor/audit/head.hpp"
#include "supervisor/audit/record.hpp"

namespace orlop::audit {

struct Limits {
  Bytes file_bytes = 8_MiB;  ///< at least reserve + 64 KiB
  std::uint32_t files = 8;   ///< at least 2
  /// The last so many bytes of each file take only records of root and of orlop, and only those begin a new file:
  /// nobody else can push a line out of the log.
  Bytes reserve = 1_MiB;
};

struct TimedRecord {
  Record record;
  WallTime time{};
};

class LogFiles {
 public:
  /// Opens the log in `directory` with its head in `state` (both borrowed for its life). Lines beyond the head that are
  /// whole are taken over; torn bytes behind them are cut off and a record says how many and their SHA-256; a tail that
  /// is missing is said by a record too, and stays visible to verify. Nothing is synced before the first append.
  /// @return corrupt/… when head and files are not of one log, or the head is unreadable: nothing was changed then
  static Result<LogFiles> open(BorrowedFd directory, BorrowedFd state, Limits limits);

  /// Appends the records, in order, and returns when they and the head are on the disk. All or none: on failure what
  /// was written is cut off again and the chain stands where it stood. A record that only the reserve could take is
  /// counted instead; the next group by root or orlop begins with that count.
  Result<void> append(std::span<const TimedRecord> records);

  [[nodiscard]] const Head& head() const { return head_; }

 private:
  LogFiles(BorrowedFd directory, BorrowedFd state, Limits limits)
      : directory_(directory), state_(state), limits_(limits) {}
  Result<void> recover();
  Result<void> scan_tail(std::uint64_t file);
  Result<void> append_all(std::span<const TimedRecord> records, Head& head, UniqueFd& next_file);
  void remove_rotated();

  BorrowedFd directory_;
  BorrowedFd state_;
  Limits limits_;
  Head head_;
  UniqueFd file_;
  std::vector<TimedRecord> notes_;                      ///< what recovery has to say, written with the first group
  std::uint64_t not_written_ = 0;                       ///< records that found only the reserve
  std::vector<std::pair<std::uint64_t, Link>> begins_;  ///< for each kept file, the link before its first line
};

}  // namespace orlop::audit
