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
  /// whole are taken over; torn bytes behind them are cut off and a record says how many and their SHA-256. Where the
  /// head names lines that are gone, the log goes on in a new file: the gap stays visible to verify, and a record tells
  /// it.
  /// @return corrupt/… when head and files are not of one log, or the head is unreadable: nothing was changed
  static Result<LogFiles> open(BorrowedFd directory, BorrowedFd state, Limits limits);

  /// Appends the records, in order, and returns when they and the head are on the disk. All or none: on failure what
  /// was written is cut off again and the chain stands where it stood. A record that only the reserve could take is
  /// counted instead; the next group by root or orlop begins with that count.
  Result<void> append(std::span<const TimedRecord> records);

  [[nodiscard]] const Head& head() const { return head_; }

 private:
  LogFiles(BorrowedFd directory, BorrowedFd state, Limits limits)
      : directory_(directory), state_(state), limits_(limits) {}
  /// A group on its way to the disk: what undo() takes back.
  struct Group {
    Head head;                        ///< as it will be
    UniqueFd file;                    ///< head.file, if it is not file_
    std::string lines;                ///< not written yet, for head.file
    std::vector<std::uint64_t> made;  ///< files begun by this group
    std::uint64_t not_written = 0;
  };
  Result<void> recover(bool fresh);
  Result<void> recover_file(UniqueFd file, std::uint64_t number, std::uint64_t offset);
  Result<void> add(Group& group, const TimedRecord& timed);
  Result<void> begin_file(Group& group);
  Result<void> flush(Group& group);
  Result<void> write_group(Group& group, std::span<const TimedRecord> records);
  void undo(const Group& group);
  void remove_rotated();
  [[nodiscard]] Link link_before(std::uint64_t number) const;

  BorrowedFd directory_;
  BorrowedFd state_;
  Limits limits_;
  Head head_;
  UniqueFd file_;
  std::vector<TimedRecord> notes_;  ///< what recovery has to say, written with the first group
  std::uint64_t not_written_ = 0;   ///< records that found only the reserve
};

}  // namespace orlop::audit
