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

  /// `thread` is borrowed; it must be destroyed after this, or have no job of this left.
  Writer(LogFiles files, writer::WriterThread& thread);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Records a change before it is made. `on_written` (may be empty) gets the result once the line is on the disk; an
  /// error (full disk) means that no line was written and the change must be refused. A record that was only counted
  /// (condense.hpp) is reported as written with the next group.
  /// limit/… when too many wait: the change must be refused; `on_written` is not called.
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
  void begin_group();

  Condenser condenser_;
  std::shared_ptr<Shared> shared_;
  writer::WriterThread& thread_;
  std::vector<Queued> queued_;
};

}  // namespace orlop::audit
