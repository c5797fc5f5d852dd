// The spool: one output stream of one container on its way from pipe to files, by splice alone, so that nothing lies
// between the two that could die holding bytes.
//
// What holds however often the process that pumps is killed (SIGKILL at any instruction), the pipe's read end being
// kept by the guardian:
// 1. Every byte is in the log once, in order, or counted in a gap record at its exact place. The kernel takes bytes
// from
//    the pipe and lengthens the file in one call, so the file's size is the place to go on (splice at an explicit
//    offset; O_APPEND is refused by splice).
// 2. Dropped bytes are counted by the kernel too: they are spliced to the end of `stdout.dropped`, a scratch file of
// less
//    than 2 MiB whose size is the count. /dev/null would keep no count for a successor. A gap record takes over
//    what the size has grown since the last record, always before the next byte that is kept.
// 3. Only when the disk takes neither log nor scratch do bytes go to /dev/null; their count is then in memory until the
//    index takes it (tried every second), and a kill in that time loses that count.
// 4. A file is at most `file_bytes` long and there are at most `files` of them, at every moment.
// Power cuts: nothing is synced; what the file system kept is read as it is, and a generation whose log and index do
// not fit together is left alone and a new one begun.
//
// No call waits: not for bytes, not for room in a pipe, not for EOF (a process that outlived the container could hold
// the write end). One call moves at most 256 KiB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/size.hpp"
#include "base/time.hpp"
#include "supervisor/logs/files.hpp"
#include "supervisor/logs/index.hpp"
#include "supervisor/logs/rate.hpp"

namespace orlop::logs {

/// What to do with bytes that the rate or the disk does not take.
enum class WhenFull : std::uint8_t {
  drop,   ///< count them and go on: the container never waits (but see Pumped::next)
  block,  ///< leave them in the pipe: the container waits
};
/// `drop` or `block`.
std::string_view to_string(WhenFull when_full);

struct Limits {
  Bytes file_bytes = 10_MiB;                            ///< at least 4 KiB
  std::uint32_t files = 3;                              ///< 1 to 32, the one being written included
  std::optional<Bytes> rate_per_second = Bytes{1_MiB};  ///< nothing: unlimited
  WhenFull when_full = WhenFull::drop;

  friend bool operator==(const Limits&, const Limits&) = default;
};

/// One moment on both clocks.
struct Moment {
  BootTime boot;
  WallTime wall;
  static Moment now() noexcept { return {BootClock::now(), wall_now()}; }
};

/// What a pump did, and what its caller waits for next.
struct Pumped {
  enum class Next : std::uint8_t {
    readable,  ///< wait until the pipe is readable: no timer, no wake-up while it is idle
    again,     ///< more is there: call again after the other work of the loop
    at,        ///< call at `when`, and do not watch the pipe until then
    closed,    ///< nobody can write any more: stop watching, or poll would report a hang-up for ever
  };
  Next next = Next::readable;
  BootTime when{};  ///< for Next::at
  std::uint64_t kept_bytes = 0;
  std::uint64_t dropped_bytes = 0;
  std::optional<Error> trouble = {};  ///< why the disk did not take bytes; the policy was applied to them
};

class Spool {
 public:
  /// Opens the spool of `stream` in `folder` (made if it is not there) below `directory`, going on where a killed
  /// predecessor stopped. `directory` is borrowed for the spool's life; one serves all containers. Holds two
  /// descriptors, a third while it drops.
  static Result<Spool> open(BorrowedFd directory, std::string folder, Stream stream, Limits limits, Moment now);

  /// Marks the begin of the run with start number `start`. Does nothing if that run is the current one (adoption). If
  /// the disk does not take the mark, no byte of the run is kept before it does.
  void begin_run(std::uint64_t start, Moment now);
  /// Moves what is in the pipe, within rate and disk. Never waits.
  Pumped pump(BorrowedFd pipe, Moment now);
  /// After the run's exit: moves what the pipe holds now, whatever the rate (last words matter most; a pipe holds at
  /// most 1 MiB), and marks the run's end. What the disk does not take is dropped under either policy. `next` is
  /// `closed`.
  Pumped finish(BorrowedFd pipe, Moment now);

  /// The start number of the current or last run; 0 before the first.
  [[nodiscard]] std::uint64_t start() const { return start_; }
  [[nodiscard]] Stream stream() const { return stream_; }

 private:
  Spool(BorrowedFd directory, std::string folder, Stream stream, Limits limits, Moment now);
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  Result<void> recover(Moment now);
  Result<bool> adopt_generation(std::uint64_t generation);
  Result<void> new_generation(std::uint64_t generation, Moment now);
  Result<void> append(RecordKind kind, std::uint64_t value, Moment now, std::uint64_t drop_counter);
  Result<void> record_run(Moment now);
  Result<void> open_scratch();
  Result<void> record_gap(Moment now);
  Result<void> rotate_if_full(Moment now);
  void mark_time(Moment now);
  Result<std::uint64_t> keep(BorrowedFd pipe, std::uint64_t bytes, Moment now);
  Result<std::uint64_t> drop(BorrowedFd pipe, std::uint64_t bytes, Moment now);
  Result<std::uint64_t> drop_counted(BorrowedFd pipe, std::uint64_t bytes, Moment now);
  /// Bytes dropped that no gap record tells of yet.
  [[nodiscard]] std::uint64_t unrecorded() const { return dropped_size_ - drop_counter_ + uncounted_; }

  BorrowedFd directory_;
  std::string folder_;
  Stream stream_;
  Limits limits_;
  std::optional<TokenBucket> bucket_;
  bool over_rate_ = false;  ///< dropping or blocking until a quarter of the bucket is there again

  std::uint64_t generation_ = 0;
  UniqueFd log_;
  UniqueFd index_;
  std::uint64_t size_ = 0;   ///< of the log: where the next byte goes
  std::uint64_t slots_ = 0;  ///< records in the index
  std::uint64_t start_ = 0;
  bool running_ = false;
  bool run_recorded_ = true;  ///< whether the index says that the run has begun
  bool continued_ = false;    ///< whether the index says that the stream goes on in the next generation

  struct Mark {
    std::uint64_t offset = 0;
    BootTime when{};
  };
  std::optional<Mark> last_mark_;

  UniqueFd dropped_;                ///< the scratch file, open while there are drops to record
  std::uint64_t dropped_size_ = 0;  ///< its size
  std::uint64_t drop_counter_ = 0;  ///< how much of that gap records account for
  std::uint64_t uncounted_ = 0;     ///< bytes that went to /dev/null and are in no record yet
  BootTime uncounted_tried_{};      ///< when the index was last asked to take them
};

}  // namespace orlop::logs
