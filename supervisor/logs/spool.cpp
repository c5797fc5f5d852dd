#include "supervisor/logs/spool.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::logs {
namespace {

constexpr std::uint64_t max_bytes_per_pump = 256_KiB .count;
constexpr std::uint64_t max_pipe_bytes = 1_MiB .count;
constexpr std::uint64_t scratch_bytes = 1_MiB .count;  // at which the scratch file begins again
constexpr Duration mark_interval = std::chrono::milliseconds(10);
// While a stream is over its rate its pipe is emptied that often and no oftener. At 64 KiB a pipe the container writes
// six times the default rate without being slowed, and a writer at full speed costs 100 short calls a second instead of
// the whole loop.
constexpr Duration drop_interval = std::chrono::milliseconds(10);
constexpr Duration retry_interval = std::chrono::seconds(1);

// An index may take a quarter of what the bytes take (more than a mark for each 128 bytes), and at least one page.
std::uint64_t max_slots(const Limits& limits) {
  return std::max<std::uint64_t>(limits.file_bytes.count / 4, 4096) / sizeof(Record) - 1;
}

// What the pipe holds. It takes the pipe's lock, as splice does.
std::uint64_t held_by(BorrowedFd pipe) {
  int count = 0;
  if (::ioctl(pipe.get(), FIONREAD, &count) != 0 || count < 0) return 0;
  return static_cast<std::uint64_t>(count);
}

// Whether nobody can write to the pipe any more, and nothing is left in it.
bool is_closed(BorrowedFd pipe) {
  pollfd state{.fd = pipe.get(), .events = POLLIN, .revents = 0};
  return ::poll(&state, 1, 0) == 1 && (state.revents & POLLIN) == 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
}

// Moves up to `bytes` from the pipe to `file` at `offset` (or where /dev/null thinks it is). 0: nothing is there.
Result<std::uint64_t> move_bytes(BorrowedFd pipe, BorrowedFd file, std::optional<std::uint64_t> offset,
                                 std::uint64_t bytes) {
  off_t place = static_cast<off_t>(offset.value_or(0));
  const ssize_t count =
      ::splice(pipe.get(), nullptr, file.get(), offset ? &place : nullptr, bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (count >= 0) return static_cast<std::uint64_t>(count);
  if (errno == EAGAIN || errno == EINTR) return 0;
  return fail_errno(errno, "splice", "cannot write a container's log");
}

Result<std::uint64_t> file_size(BorrowedFd file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "fstat", "cannot look at a log file");
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

std::string_view to_string(WhenFull when_full) {
  return when_full == WhenFull::drop ? "drop" : "block";
}

Spool::Spool(BorrowedFd directory, std::string folder, Stream stream, Limits limits, Moment now)
    : directory_(directory), folder_(std::move(folder)), stream_(stream), limits_(limits) {
  limits_.file_bytes.count = std::max<std::uint64_t>(limits_.file_bytes.count, 4096);
  limits_.files = std::clamp<std::uint32_t>(limits_.files, 1, 32);
  if (limits_.rate_per_second) bucket_.emplace(*limits_.rate_per_second, now.boot);
}

Result<Spool> Spool::open(BorrowedFd directory, std::string folder, Stream stream, Limits limits, Moment now) {
  Spool spool(directory, std::move(folder), stream, limits, now);
  if (Result<void> recovered = spool.recover(now); !recovered)
    return fail(std::move(recovered),
                fmt::format("cannot open the log of '{}' ({})", spool.folder_, to_string(stream)));
  return spool;
}

Result<void> Spool::recover(Moment now) {
  const Result<UniqueFd> folder = make_directory(directory_, folder_, 0700);
  if (!folder) return std::unexpected(folder.error());
  const Result<std::vector<std::string>> names = list_directory(*folder);
  if (!names) return std::unexpected(names.error());
  const std::vector<std::uint64_t> kept = generations(*names, stream_);
  if (kept.empty()) {
    // A count without a log belongs to a log that somebody removed.
    if (Result<void> removed = remove_tree(*folder, dropped_name(stream_)); !removed) return removed;
    return new_generation(1, now);
  }
  if (std::ranges::find(*names, dropped_name(stream_)) != names->end()) {
    Result<UniqueFd> scratch = sys::open_beneath(*folder, dropped_name(stream_), O_WRONLY | O_NOFOLLOW);
    if (!scratch) return pass(std::move(scratch));
    Result<std::uint64_t> size = file_size(*scratch);
    if (!size) return pass(std::move(size));
    dropped_size_ = *size;
  }
  Result<bool> adopted = adopt_generation(kept.back());
  if (!adopted) return pass(std::move(adopted));
  // The scratch file begins again only when all of it is recorded, and grows by less than that before the next record
  // (see drop): a size below the recorded count means that it did, and nothing of it is recorded yet.
  if (drop_counter_ > dropped_size_) drop_counter_ = 0;
  if (*adopted) return {};
  return new_generation(kept.back() + 1, now);
}

// Takes up writing in `generation`. false: it is complete, or its log and index do not fit together; a new one is due.
Result<bool> Spool::adopt_generation(std::uint64_t generation) {
  Result<UniqueFd> log = sys::open_beneath(directory_, path(log_name(stream_, generation)), O_WRONLY | O_NOFOLLOW);
  if (!log) return pass(std::move(log));
  Result<std::uint64_t> size = file_size(*log);
  if (!size) return pass(std::move(size));
  drop_counter_ = dropped_size_;  // without an index nothing is known of it: claim no gap
  Result<UniqueFd> index = sys::open_beneath(directory_, path(index_name(stream_, generation)), O_RDWR | O_NOFOLLOW);
  if (!index && index.error().errno_value == ENOENT) return false;
  if (!index) return pass(std::move(index));
  IndexCursor cursor(*index);
  if (const Result<std::uint64_t> bytes = file_size(*index); !bytes || *bytes == 0 || !cursor.check_header())
    return false;
  drop_counter_ = 0;
  bool fits = true;
  for (;;) {
    const Result<std::optional<Record>> record = cursor.next();
    if (!record) return std::unexpected(record.error());
    if (!*record) break;
    drop_counter_ = (*record)->drop_counter;
    switch (static_cast<RecordKind>((*record)->kind)) {
      case RecordKind::run_start:
      case RecordKind::run_end:
        start_ = (*record)->value;
        running_ = (*record)->kind == static_cast<std::uint32_t>(RecordKind::run_start);
        break;
      case RecordKind::next:
        fits = false;
        break;
      case RecordKind::time:
      case RecordKind::gap:
        break;
    }
    if ((*record)->offset > *size) fits = false;
  }
  run_recorded_ = true;
  if (!fits) return false;
  generation_ = generation;
  log_ = std::move(*log);
  index_ = std::move(*index);
  size_ = *size;
  slots_ = cursor.slot();
  return true;
}

// Removes what is one too many, then makes the files. The log comes last: with it the generation exists.
Result<void> Spool::new_generation(std::uint64_t generation, Moment now) {
  Result<UniqueFd> folder = sys::open_beneath(directory_, folder_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder) return pass(std::move(folder));
  const Result<std::vector<std::string>> names = list_directory(*folder);
  if (!names) return std::unexpected(names.error());
  for (const std::uint64_t old : generations(*names, stream_)) {
    if (old + limits_.files > generation) continue;
    for (const std::string& name : {log_name(stream_, old), index_name(stream_, old)})
      if (::unlinkat(folder->get(), name.c_str(), 0) != 0 && errno != ENOENT)
        return fail_errno(errno, "unlinkat", fmt::format("cannot remove the old log '{}'", name));
  }
  Result<UniqueFd> index =
      sys::open_beneath(*folder, index_name(stream_, generation), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (!index) return pass(std::move(index));
  if (Result<void> written = write_index_header(*index); !written) return written;
  // The first record carries on what the generations before say and readers may no longer find there.
  const Record carried{.offset = 0,
                       .wall_ns = now.wall.time_since_epoch().count(),
                       .value = start_,
                       .kind = std::to_underlying(running_ ? RecordKind::run_start : RecordKind::run_end),
                       .drop_counter = static_cast<std::uint32_t>(drop_counter_)};
  if (Result<void> written = write_record(*index, 0, carried); !written) return written;
  Result<UniqueFd> log =
      sys::open_beneath(*folder, log_name(stream_, generation), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!log) return pass(std::move(log));
  generation_ = generation;
  log_ = std::move(*log);
  index_ = std::move(*index);
  size_ = 0;
  slots_ = 1;
  run_recorded_ = true;
  continued_ = false;
  last_mark_.reset();
  return {};
}

Result<void> Spool::append(RecordKind kind, std::uint64_t value, Moment now, std::uint64_t drop_counter) {
  const Record record{.offset = size_,
                      .wall_ns = now.wall.time_since_epoch().count(),
                      .value = value,
                      .kind = std::to_underlying(kind),
                      .drop_counter = static_cast<std::uint32_t>(drop_counter)};
  if (Result<void> written = write_record(index_, slots_, record); !written) return written;
  ++slots_;
  return {};
}

void Spool::begin_run(std::uint64_t start, Moment now) {
  if (running_ && start == start_) return;
  (void)record_gap(
      now);  // belongs to the run before; if the index does not take it, it is recorded before the next byte
  start_ = start;
  running_ = true;
  run_recorded_ = false;
  (void)record_run(now);  // likewise: keep() asks again
}

Result<void> Spool::record_run(Moment now) {
  if (run_recorded_) return {};
  if (Result<void> written = append(RecordKind::run_start, start_, now, drop_counter_); !written) return written;
  run_recorded_ = true;
  return {};
}

Result<void> Spool::open_scratch() {
  if (dropped_) return {};
  Result<UniqueFd> scratch =
      sys::open_beneath(directory_, path(dropped_name(stream_)), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
  if (!scratch) return pass(std::move(scratch));
  dropped_ = std::move(*scratch);
  return {};
}

Result<void> Spool::record_gap(Moment now) {
  if (unrecorded() == 0) return {};
  if (Result<void> written = append(RecordKind::gap, unrecorded(), now, dropped_size_); !written) return written;
  drop_counter_ = dropped_size_;
  uncounted_ = 0;
  if (dropped_size_ >= scratch_bytes && open_scratch() && ::ftruncate(dropped_.get(), 0) == 0)
    dropped_size_ = drop_counter_ = 0;
  return {};
}

Result<void> Spool::rotate_if_full(Moment now) {
  if (size_ < limits_.file_bytes.count && slots_ < max_slots(limits_)) return {};
  if (!continued_)
    if (Result<void> written = append(RecordKind::next, generation_ + 1, now, drop_counter_); !written) return written;
  continued_ = true;
  return new_generation(generation_ + 1, now);
}

void Spool::mark_time(Moment now) {
  if (last_mark_ && now.boot - last_mark_->when < (last_mark_->offset == size_ ? retry_interval : mark_interval))
    return;
  // Bytes are worth more than their time: if the index does not take the mark, they appear to have come with those
  // before.
  if (append(RecordKind::time, 0, now, drop_counter_)) last_mark_ = Mark{.offset = size_, .when = now.boot};
}

Result<std::uint64_t> Spool::keep(BorrowedFd pipe, std::uint64_t bytes, Moment now) {
  if (Result<void> recorded = record_gap(now); !recorded) return pass(std::move(recorded));
  dropped_.reset();
  if (Result<void> recorded = record_run(now); !recorded) return pass(std::move(recorded));
  if (Result<void> rotated = rotate_if_full(now); !rotated) return pass(std::move(rotated));
  mark_time(now);
  Result<std::uint64_t> moved = move_bytes(pipe, log_, size_, std::min(bytes, limits_.file_bytes.count - size_));
  if (moved) size_ += *moved;
  return moved;
}

// Into the scratch file, where the kernel counts. An error: the disk does not take them, they are still in the pipe.
Result<std::uint64_t> Spool::drop_counted(BorrowedFd pipe, std::uint64_t bytes, Moment now) {
  if (Result<void> opened = open_scratch(); !opened) return pass(std::move(opened));
  // Recorded every 256 KiB, so that after the scratch file has begun again its size stays below the recorded count
  // (1 MiB or more) until the next record: what recover() relies on.
  if (dropped_size_ - drop_counter_ >= max_bytes_per_pump)
    if (Result<void> recorded = record_gap(now); !recorded) return pass(std::move(recorded));
  Result<std::uint64_t> moved = move_bytes(pipe, dropped_, dropped_size_, std::min(bytes, max_bytes_per_pump));
  if (moved) dropped_size_ += *moved;
  return moved;
}

Result<std::uint64_t> Spool::drop(BorrowedFd pipe, std::uint64_t bytes, Moment now) {
  if (Result<std::uint64_t> counted = drop_counted(pipe, bytes, now); counted) return counted;
  Result<UniqueFd> null = sys::open("/dev/null", O_WRONLY);
  if (!null) return pass(std::move(null));
  Result<std::uint64_t> moved = move_bytes(pipe, *null, std::nullopt, std::min(bytes, max_bytes_per_pump));
  if (moved) uncounted_ += *moved;
  if (now.boot - uncounted_tried_ >= retry_interval) {
    uncounted_tried_ = now.boot;
    (void)record_gap(now);  // unrecorded() remembers
  }
  return moved;
}

Pumped Spool::pump(BorrowedFd pipe, Moment now) {
  Pumped done;
  const auto wait_until = [&](BootTime when) {
    done.next = Pumped::Next::at;
    done.when = when;
  };
  const auto drop_held = [&](std::uint64_t held) {
    Result<std::uint64_t> dropped = drop(pipe, held, now);
    wait_until(now.boot + (dropped ? drop_interval : retry_interval));
    if (dropped) done.dropped_bytes += *dropped;
    if (!dropped) done.trouble = std::move(dropped).error();
  };
  while (done.kept_bytes < max_bytes_per_pump) {
    const std::uint64_t held = held_by(pipe);
    if (held == 0) {
      (void)record_gap(now);  // the flood is over; if the index does not take it, the next byte or finish() asks again
      dropped_.reset();
      done.next = is_closed(pipe) ? Pumped::Next::closed : Pumped::Next::readable;
      return done;
    }
    std::uint64_t allowed = bucket_ ? bucket_->available(now.boot) : held;
    if (bucket_) {
      // Once over the rate it stays so until a quarter of a second's bytes may pass: few long gaps, not many short
      // ones.
      const std::uint64_t enough = std::max<std::uint64_t>(bucket_->capacity() / 4, 1);
      over_rate_ = allowed < (over_rate_ ? enough : 1);
      if (over_rate_ && limits_.when_full == WhenFull::block) {
        wait_until(bucket_->ready_at(enough, now.boot));
        return done;
      }
      if (over_rate_) {
        drop_held(held);
        return done;
      }
    }
    Result<std::uint64_t> kept = keep(pipe, std::min({held, allowed, max_bytes_per_pump - done.kept_bytes}), now);
    if (!kept) {
      if (limits_.when_full == WhenFull::block) wait_until(now.boot + retry_interval);
      if (limits_.when_full == WhenFull::drop) drop_held(held);
      done.trouble = std::move(kept).error();
      return done;
    }
    if (*kept == 0) return done;  // the container read its own bytes back
    if (bucket_) bucket_->take(*kept, now.boot);
    done.kept_bytes += *kept;
  }
  done.next = Pumped::Next::again;
  return done;
}

Pumped Spool::finish(BorrowedFd pipe, Moment now) {
  Pumped done;
  done.next = Pumped::Next::closed;
  for (std::uint64_t left = std::min(held_by(pipe), max_pipe_bytes); left > 0;) {
    Result<std::uint64_t> moved = keep(pipe, left, now);
    std::uint64_t& total = moved ? done.kept_bytes : done.dropped_bytes;
    if (!moved) {
      done.trouble = moved.error();
      moved = drop(pipe, left, now);
    }
    if (!moved || *moved == 0) break;
    total += *moved;
    left -= *moved;
  }
  Result<void> recorded = record_gap(now);
  if (recorded) recorded = record_run(now);
  if (recorded && running_) recorded = append(RecordKind::run_end, start_, now, drop_counter_);
  if (!recorded) done.trouble = std::move(recorded).error();
  dropped_.reset();
  running_ = false;
  return done;
}

}  // namespace orlop::logs
