#include "supervisor/audit/writer.hpp"

#include <fmt/format.h>

#include <utility>

namespace orlop::audit {

/// What a group on its way to the disk needs, and outlives the writer with. `files` is the thread's while a group is
/// under way; `owner` is the loop's always.
struct Writer::Shared {
  LogFiles files;
  Writer* owner = nullptr;
};

Writer::Writer(LogFiles files, writer::WriterThread& thread)
    : shared_(std::make_shared<Shared>(Shared{.files = std::move(files), .owner = this})), thread_(thread) {}

Writer::~Writer() {
  shared_->owner = nullptr;
}

Result<void> Writer::append(Record record, OnWritten on_written) {
  const std::size_t text_bytes = record.what.size() + record.object.size() + record.why.size() + record.before.size() +
                                 record.after.size() + (record.actor ? record.actor->executable.size() : 0);
  if (text_bytes > max_text_bytes)
    return fail(ErrorKind::limit, fmt::format("an audit record of {} bytes is too long", text_bytes));
  if (queued_.size() >= max_queued)
    return fail(ErrorKind::limit, fmt::format("{} audit records wait for the disk already", queued_.size()));
  const bool counted = !condenser_.admit(record, BootClock::now());
  queued_.push_back({.timed = {.record = std::move(record), .time = wall_now()},
                     .counted = counted,
                     .on_written = std::move(on_written)});
  Result<void> begun = begin_group();
  if (!begun) queued_.pop_back();
  return begun;
}

void Writer::tick(BootTime now) {
  for (Record& record : condenser_.due(now))
    queued_.push_back({.timed = {.record = std::move(record), .time = wall_now()}, .counted = false, .on_written = {}});
  (void)begin_group();  // if the thread has no room now, the next append begins the group
}

// Hands all that waits to the thread, unless a group is there already: then end_group() does.
Result<void> Writer::begin_group() {
  if (under_way_ || queued_.empty()) return {};
  auto group = std::make_shared<std::vector<Queued>>(std::move(queued_));
  queued_.clear();
  auto records = std::make_shared<std::vector<TimedRecord>>();
  for (const Queued& queued : *group)
    if (!queued.counted) records->push_back(queued.timed);
  Result<void> submitted = thread_.submit(
      [shared = shared_, records]() -> Result<void> {
        if (records->empty()) return {};
        return shared->files.append(*records);
      },
      [shared = shared_, group](const Result<void>& result) {
        if (shared->owner != nullptr) shared->owner->end_group(*group, result);
      });
  under_way_ = submitted.has_value();
  if (!submitted) queued_ = std::move(*group);
  return submitted;
}

void Writer::end_group(std::vector<Queued>& group, const Result<void>& result) {
  under_way_ = false;
  (void)begin_group();                            // cannot fail for want of room: the job that has just ended made some
  const std::shared_ptr<Shared> alive = shared_;  // a callback may end the writer
  for (Queued& queued : group)
    if (queued.on_written && alive->owner != nullptr) queued.on_written(result);
}

}  // namespace orlop::audit
