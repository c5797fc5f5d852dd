#include "supervisor/audit/log_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::audit {
namespace {

bool is_privileged(const Record& record) {
  return !record.actor || record.actor->uid == 0;
}

TimedRecord note(std::string what, std::string why, std::string before) {
  return {.record = {.what = std::move(what), .object = "audit", .why = std::move(why), .before = std::move(before)},
          .time = wall_now()};
}

Result<void> write_at(BorrowedFd file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "pwrite", "cannot write the audit log");
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> sync(BorrowedFd file) {
  if (::fdatasync(file.get()) != 0) return fail_errno(errno, "fdatasync", "cannot sync the audit log");
  return {};
}

}  // namespace

Result<LogFiles> LogFiles::open(BorrowedFd directory, BorrowedFd state, Limits limits) {
  constexpr std::uint64_t least = 2 * max_line_bytes;
  limits.files = std::max<std::uint32_t>(limits.files, 2);
  limits.file_bytes.count = std::max(limits.file_bytes.count, limits.reserve.count + least);
  LogFiles files(directory, state, limits);
  Result<std::optional<Head>> head = read_head(state);
  if (!head) return fail(std::move(head), "cannot open the audit log");
  if (*head) files.head_ = **head;
  if (Result<void> recovered = files.recover(!*head); !recovered)
    return fail(std::move(recovered), "cannot open the audit log");
  return files;
}

Result<void> LogFiles::recover(bool fresh) {
  const Result<std::vector<std::string>> names = list_directory(directory_);
  if (!names) return std::unexpected(names.error());
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : *names)
    if (const auto number = file_number(name)) numbers.push_back(*number);
  std::ranges::sort(numbers);
  // Without a head only a log that was killed before its first group was whole can be told from one that was robbed.
  if (fresh && !numbers.empty() && numbers.back() != 1)
    return fail(ErrorKind::corrupt, fmt::format("'{}' is missing beside an audit log", head_name),
                "look at the log with 'orlop audit verify', then move it away");
  const Head known = head_;
  for (const std::uint64_t number : numbers) {
    if (number < known.file) continue;
    Result<UniqueFd> file = sys::open_beneath(directory_, file_name(number), O_RDWR | O_NOFOLLOW);
    if (!file) return pass(std::move(file));
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_errno(errno, "fstat", "cannot look at the audit log");
    const std::uint64_t offset = number == known.file ? known.offset : 0;
    if (static_cast<std::uint64_t>(status.st_size) < offset) continue;  // cut: file_ stays empty
    if (Result<void> recovered = recover_file(std::move(*file), number, offset); !recovered) return recovered;
  }
  if (!file_ && !fresh && known.last.seq != 0)
    notes_.push_back(note("audit.cut", fmt::format("records up to {} were on the disk and are gone", known.last.seq),
                          hex(known.last.hash)));
  return {};
}

// Takes over the lines of `file` from `offset` that follow in the chain, and cuts off what does not.
Result<void> LogFiles::recover_file(UniqueFd file, std::uint64_t number, std::uint64_t offset) {
  if (::lseek(file.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
    return fail_errno(errno, "lseek", "cannot read the audit log");
  const Result<std::string> tail = read_all(file, limits_.file_bytes.count + 64_MiB .count);
  if (!tail) return std::unexpected(tail.error());
  std::string_view rest = *tail;
  for (std::size_t end = 0; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
    const std::string_view line = rest.substr(0, end);
    const Result<Entry> entry = parse_line(line);
    if (!entry || entry->seq != head_.last.seq + 1 || entry->prev != head_.last.hash) break;
    head_.last = {.seq = entry->seq, .hash = sha256(line)};
  }
  head_.file = number;
  head_.offset = offset + tail->size() - rest.size();
  file_ = std::move(file);
  if (rest.empty()) return {};
  if (::ftruncate(file_.get(), static_cast<off_t>(head_.offset)) != 0)
    return fail_errno(errno, "ftruncate", "cannot cut torn bytes off the audit log");
  notes_.push_back(note("audit.torn",
                        fmt::format("{} bytes after record {} were no whole record", rest.size(), head_.last.seq),
                        hex(sha256(rest))));
  return {};
}

Result<void> LogFiles::append(std::span<const TimedRecord> records) {
  Group group{.head = head_, .file = {}, .lines = {}, .made = {}, .not_written = not_written_};
  if (Result<void> written = write_group(group, records); !written) {
    undo(group);
    return fail(std::move(written), "cannot record in the audit log");
  }
  head_ = group.head;
  if (group.file) file_ = std::move(group.file);
  not_written_ = group.not_written;
  notes_.clear();
  remove_rotated();
  return {};
}

Result<void> LogFiles::write_group(Group& group, std::span<const TimedRecord> records) {
  for (const TimedRecord& timed : notes_)
    if (Result<void> added = add(group, timed); !added) return added;
  const bool privileged = std::ranges::any_of(records, is_privileged, &TimedRecord::record);
  if (privileged && group.not_written != 0) {
    TimedRecord count = note("audit.full", "only the part reserved for root was left", "");
    count.record.repeats = std::exchange(group.not_written, 0);
    count.record.verdict = Verdict::denied;
    if (Result<void> added = add(group, count); !added) return added;
  }
  for (const TimedRecord& timed : records)
    if (Result<void> added = add(group, timed); !added) return added;
  if (group.head == head_) return {};
  if (Result<void> written = flush(group); !written) return written;
  return write_head(state_, group.head);
}

Result<void> LogFiles::add(Group& group, const TimedRecord& timed) {
  Result<NextLine> next = chain(timed.record, timed.time, group.head.last);
  if (!next) return pass(std::move(next));
  const bool privileged = is_privileged(timed.record);
  const std::uint64_t bound = limits_.file_bytes.count - (privileged ? 0 : limits_.reserve.count);
  const bool has_file = file_ || group.file;
  if (has_file && group.head.offset + next->line.size() > bound) {
    if (!privileged) {
      group.not_written += timed.record.repeats;
      return {};
    }
    if (Result<void> written = flush(group); !written) return written;
    if (Result<void> begun = begin_file(group); !begun) return begun;
  }
  if (!has_file)
    if (Result<void> begun = begin_file(group); !begun) return begun;
  group.head.last = next->link;
  group.head.offset += next->line.size();
  group.lines += next->line;
  return {};
}

Result<void> LogFiles::begin_file(Group& group) {
  // The first of all is 1; after a cut the number of the lost file is not used again.
  const std::uint64_t number = group.head.last.seq == 0 ? 1 : group.head.file + 1;
  Result<UniqueFd> file =
      sys::open_beneath(directory_, file_name(number), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return pass(std::move(file));
  group.made.push_back(number);
  if (::fsync(directory_.get()) != 0) return fail_errno(errno, "fsync", "cannot sync the directory of the audit log");
  group.file = std::move(*file);
  group.head.file = number;
  group.head.offset = 0;
  if (number - group.head.oldest_file >= limits_.files) {
    group.head.oldest_file = number - limits_.files + 1;
    group.head.before_oldest = group.head.oldest_file == number ? group.head.last : link_before(group.head.oldest_file);
  }
  return {};
}

Result<void> LogFiles::flush(Group& group) {
  const BorrowedFd file = group.file ? group.file : file_;
  if (Result<void> written = write_at(file, group.lines, group.head.offset - group.lines.size()); !written)
    return written;
  group.lines.clear();
  return sync(file);
}

// After a failed group the log is what it was: nobody is told of a record that may or may not be there.
void LogFiles::undo(const Group& group) {
  if (file_) (void)!::ftruncate(file_.get(), static_cast<off_t>(head_.offset));  // the next group overwrites what stays
  for (const std::uint64_t number : group.made)
    (void)::unlinkat(directory_.get(), file_name(number).c_str(), 0);  // what stays is found torn at the next start
  const Result<std::optional<Head>> on_disk = read_head(state_);
  if (on_disk && *on_disk && **on_disk != head_) (void)write_head(state_, head_);  // renamed, and only its sync failed
}

// The head no longer names them: only then do they go.
void LogFiles::remove_rotated() {
  const Result<std::vector<std::string>> names = list_directory(directory_);
  if (!names) return;  // tried again with the next group
  for (const std::string& name : *names)
    if (const auto number = file_number(name); number && *number < head_.oldest_file)
      (void)::unlinkat(directory_.get(), name.c_str(), 0);
}

// The link before the first line of a file. If that line is no record, an empty one: verify then names the place.
Link LogFiles::link_before(std::uint64_t number) const {
  const Result<UniqueFd> file = sys::open_beneath(directory_, file_name(number), O_RDONLY | O_NOFOLLOW);
  if (!file) return {};
  std::string line(max_line_bytes, '\0');
  const ssize_t count = ::pread(file->get(), line.data(), line.size(), 0);
  if (count <= 0) return {};
  line.resize(std::min(line.find('\n'), static_cast<std::size_t>(count)));
  const Result<Entry> entry = parse_line(line);
  if (!entry) return {};
  return {.seq = entry->seq - 1, .hash = entry->prev};
}

}  // namespace orlop::audit
