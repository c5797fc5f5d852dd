// The audit log as orlopd's loop sees it: append() queues, the writer thread writes and syncs in groups, the callback
// runs on the loop. While one group is on its way to the disk the next gathers, so that a busy minute costs few syncs.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "supervisor/audit/condense.hpp"
#include "supervisor/audit/log_files.hpp"
#include "supervisor/writer/writer_thread.hpp"

namespace orlop::audit {

class Writer {
 public:
  using OnWritten = std::function<void(Result<void>)>;

  /// Records that may wait at one time.
  static constexpr std::size_t max_queued = 4096;
  /// Bytes that the texts of one record may have together: however they are escaped, the line stays below its bound.
  static constexpr std::size_t max_text_bytes = 10'000;

  /// `thread` is borrowed for the writer's life. Directories of `files` must outlive the thread.
  Writer(LogFiles files, writer::WriterThread& thread);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Records a change before it is made. `on_written` (may be empty) gets the result once the line is on the disk; an
  /// error (full disk) means that no line was written and the change must be refused. A record that was only counted
  /// (condense.hpp) is reported as written with the next group.
  /// limit/… when too many wait or the texts are too long: the change must be refused; `on_written` is not called.
  Result<void> append(Record record, OnWritten on_written);

  /// When tick() has counts to write; nothing: no timer needed.
  [[nodiscard]] std::optional<BootTime> next_tick() const { return condenser_.next_due(); }
  /// Writes the counts whose minute is over.
  void tick(BootTime now);

 private:
  struct Shared;
  struct Queued {
    TimedRecord timed;
    bool counted = false;
    OnWritten on_written;
  };
  Result<void> begin_group();
  void end_group(std::vector<Queued>& group, const Result<void>& result);

  Condenser condenser_;
  std::shared_ptr<Shared> shared_;
  writer::WriterThread& thread_;
  std::vector<Queued> queued_;
  bool under_way_ = false;  ///< a group is with the thread
};

}  // namespace orlop::audit
