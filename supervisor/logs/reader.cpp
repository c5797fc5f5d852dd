#include "supervisor/logs/reader.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

namespace orlop::logs {
namespace {

Result<struct stat> status_of(BorrowedFd file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "fstat", "cannot look at a log file");
  return status;
}

Result<std::uint64_t> size_of(BorrowedFd file) {
  const Result<struct stat> status = status_of(file);
  if (!status) return std::unexpected(status.error());
  return static_cast<std::uint64_t>(status->st_size);
}

WallTime last_change(BorrowedFd file) {
  const Result<struct stat> status = status_of(file);
  if (!status) return {};
  return WallTime(std::chrono::seconds(status->st_mtim.tv_sec) + Duration(status->st_mtim.tv_nsec));
}

// The start numbers that an index names. An index that was lost names none.
Result<void> collect_starts(const Generation& generation, std::set<std::uint64_t>& starts) {
  IndexCursor cursor(generation.index);
  if (!cursor.check_header()) return {};
  for (;;) {
    const Result<std::optional<Record>> record = cursor.next();
    if (!record) return std::unexpected(record.error());
    if (!*record) return {};
    const auto kind = static_cast<RecordKind>((*record)->kind);
    if ((kind == RecordKind::run_start || kind == RecordKind::run_end) && (*record)->value != 0)
      starts.insert((*record)->value);
  }
}

}  // namespace

StreamReader::StreamReader(Stream stream, std::vector<Generation> generations)
    : stream_(stream), generations_(std::move(generations)) {}

void StreamReader::extend(std::vector<Generation> generations) {
  generations_.erase(generations_.begin(), generations_.begin() + static_cast<std::ptrdiff_t>(current_));
  current_ = 0;
  for (Generation& generation : generations)
    if (generations_.empty() || generation.number > generations_.back().number)
      generations_.push_back(std::move(generation));
}

bool StreamReader::wants_more() const {
  return goes_on_in_ && current_ + 1 == generations_.size() && generations_.back().number < *goes_on_in_;
}

void StreamReader::rewind() {
  *this = StreamReader(stream_, std::move(generations_));
}

Result<std::optional<Line>> StreamReader::next(bool at_end) {
  for (;;) {
    if (std::optional<Line> line = take_line(false)) return line;
    if (gap_) return std::exchange(gap_, std::nullopt);
    const Result<bool> advanced = advance();
    if (!advanced) return std::unexpected(advanced.error());
    if (!*advanced) return at_end ? take_line(true) : std::nullopt;
  }
}

std::optional<Line> StreamReader::take_line(bool at_end) {
  const std::string_view pending = std::string_view(pending_).substr(begin_);
  const std::size_t newline = pending.substr(0, max_piece_bytes).find('\n');
  std::size_t length = 0;
  if (newline != std::string_view::npos) {
    length = newline + 1;
  } else if (pending.size() >= max_piece_bytes) {
    length = max_piece_bytes;
  } else if (line_ended_ || at_end) {
    length = pending.size();
    line_ended_ = false;
  }
  if (length == 0) return std::nullopt;
  Line line{.time = line_time_, .stream = stream_, .start = line_start_, .log = std::string(pending.substr(0, length))};
  begin_ += length;
  // What is left came with the last read: before it there was one unfinished line, and its end has just been given.
  if (newline != std::string_view::npos) {
    line_time_ = time_;
    line_start_ = start_;
  }
  return line;
}

// One step: a record, some bytes, or the next generation. false: nothing more is there.
//
// The writer puts a record into the index before the bytes that it describes into the log. So when the index has no
// further record, the bytes up to a size that was read before are described by the records before; and when it has one,
// the bytes before that record are already there.
Result<bool> StreamReader::advance() {
  if (current_ >= generations_.size()) return false;
  if (!entered_) enter_generation();
  const Generation& generation = generations_.at(current_);
  const Result<std::uint64_t> described = size_of(generation.log);
  if (!described) return std::unexpected(described.error());
  if (!ahead_ && cursor_) {
    Result<std::optional<Record>> record = cursor_->next();
    if (!record) return pass(std::move(record));
    ahead_ = *record;
  }
  std::uint64_t until = *described;
  if (ahead_) {
    const Result<std::uint64_t> size = size_of(generation.log);
    if (!size) return std::unexpected(size.error());
    until = std::min(ahead_->offset, *size);  // less than the record's offset only if a power cut took the bytes
  }
  if (offset_ < until) {
    if (Result<void> read = read_until(until); !read) return pass(std::move(read));
    return true;
  }
  if (ahead_) {
    apply(*std::exchange(ahead_, std::nullopt));
    return true;
  }
  if (current_ + 1 >= generations_.size()) return false;
  if (generations_.at(current_ + 1).number != generation.number + 1) line_ended_ = true;  // one is missing between
  ++current_;
  entered_ = false;
  return true;
}

void StreamReader::enter_generation() {
  const Generation& generation = generations_.at(current_);
  entered_ = true;
  offset_ = 0;
  ahead_.reset();
  goes_on_in_.reset();
  cursor_.emplace(generation.index);
  if (cursor_->check_header()) return;
  cursor_.reset();
  time_ = last_change(generation.log);
}

void StreamReader::apply(const Record& record) {
  const WallTime wall{Duration(record.wall_ns)};
  switch (static_cast<RecordKind>(record.kind)) {
    case RecordKind::time:
      break;
    case RecordKind::gap:
      line_ended_ = true;
      gap_ = Line{.time = wall, .stream = stream_, .start = start_, .dropped_bytes = record.value};
      break;
    case RecordKind::run_start:
    case RecordKind::run_end: {
      // What says the same again only carries it on into a new file.
      const bool running = record.kind == std::to_underlying(RecordKind::run_start);
      line_ended_ = line_ended_ || running != running_ || record.value != start_;
      running_ = running;
      start_ = record.value;
      break;
    }
    case RecordKind::next:
      goes_on_in_ = record.value;
      break;
  }
  time_ = wall;
}

Result<void> StreamReader::read_until(std::uint64_t offset) {
  pending_.erase(0, begin_);
  begin_ = 0;
  const std::size_t had = pending_.size();
  if (had == 0) {
    line_time_ = time_;
    line_start_ = start_;
    line_ended_ = false;
  }
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(offset - offset_, max_piece_bytes));
  pending_.resize(had + wanted);
  const ssize_t count =
      ::pread(generations_.at(current_).log.get(), pending_.data() + had, wanted, static_cast<off_t>(offset_));
  pending_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  if (count < 0) return fail_errno(errno, "pread", "cannot read a log");
  if (count == 0) return fail(ErrorKind::corrupt, "a log became shorter while it was read");
  offset_ += static_cast<std::uint64_t>(count);
  return {};
}

Reader::Reader(Source source, Query query)
    : query_(query),
      streams_{StreamReader(Stream::out, std::move(source.streams.at(0))),
               StreamReader(Stream::err, std::move(source.streams.at(1)))} {}

Result<Reader> Reader::open(Source source, Query query) {
  std::optional<std::uint64_t> only_start;
  if (query.previous) {
    std::set<std::uint64_t> starts;
    for (const std::vector<Generation>& stream : source.streams)
      for (const Generation& generation : stream)
        if (Result<void> collected = collect_starts(generation, starts); !collected) return pass(std::move(collected));
    if (starts.size() < 2)
      return fail(ErrorKind::not_found,
                  fmt::format("the log of '{}' holds no run before the latest", source.container));
    only_start = *std::next(starts.rbegin());
  }
  Reader reader(std::move(source), query);
  reader.only_start_ = only_start;
  if (query.last)
    if (Result<void> skipped = reader.skip_to_last(*query.last); !skipped) return pass(std::move(skipped));
  return reader;
}

// Counts, then reads again: two passes over bounded files cost less than memory for lines that are not shown.
Result<void> Reader::skip_to_last(std::uint64_t wanted_lines) {
  const auto read_lines = [this](std::uint64_t most) -> Result<std::uint64_t> {
    for (std::uint64_t count = 0;; ++count) {
      if (count == most) return count;
      const Result<std::optional<Line>> line = next();
      if (!line) return std::unexpected(line.error());
      if (!*line) return count;
    }
  };
  const Result<std::uint64_t> all = read_lines(UINT64_MAX);
  if (!all) return std::unexpected(all.error());
  for (StreamReader& stream : streams_) stream.rewind();
  heads_ = {};
  const Result<std::uint64_t> skipped = read_lines(*all > wanted_lines ? *all - wanted_lines : 0);
  if (!skipped) return std::unexpected(skipped.error());
  return {};
}

Result<std::optional<Line>> Reader::next() {
  for (;;) {
    Result<std::optional<Line>> line = next_merged();
    if (!line || !*line || wanted(**line)) return line;
  }
}

Result<std::optional<Line>> Reader::next_merged() {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (heads_.at(i)) continue;
    Result<std::optional<Line>> line = streams_.at(i).next(!query_.follow);
    if (!line) return line;
    heads_.at(i) = std::move(*line);
  }
  auto& [out, err] = heads_;
  std::optional<Line>& first = !out || (err && err->time < out->time) ? err : out;
  return std::exchange(first, std::nullopt);
}

bool Reader::wanted(const Line& line) const {
  if (query_.since && line.time < *query_.since) return false;
  return !only_start_ || line.start == *only_start_;
}

bool Reader::wants_more() const {
  return std::ranges::any_of(streams_, [](const StreamReader& stream) { return stream.wants_more(); });
}

void Reader::extend(Source source) {
  for (std::size_t i = 0; i < streams_.size(); ++i) streams_.at(i).extend(std::move(source.streams.at(i)));
}

}  // namespace orlop::logs
