#include "supervisor/audit/reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.hpp"
#include "base/size.hpp"
#include "base/sys.hpp"

namespace orlop::audit {
namespace {

constexpr std::size_t max_file_bytes = (128_MiB).count;
constexpr std::size_t max_head_bytes = 4096;

Result<std::string> content_of(const LogFile& file) {
  if (::lseek(file.fd.get(), 0, SEEK_SET) < 0) return fail_errno(errno, "lseek", "cannot read the audit log");
  Result<std::string> bytes = read_all(file.fd, max_file_bytes);
  if (!bytes) return fail(std::move(bytes), fmt::format("cannot read '{}'", file_name(file.number)));
  return bytes;
}

// The line that `rest` begins with, and whether its newline is there; `rest` goes on behind it.
struct RawLine {
  std::string_view bytes;
  bool ended = false;
};
RawLine take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const RawLine line{.bytes = rest.substr(0, end), .ended = end != std::string_view::npos};
  rest.remove_prefix(line.ended ? end + 1 : rest.size());
  return line;
}

Result<std::optional<std::string>> head_text(BorrowedFd state) {
  Result<std::string> text = read_file(state, head_name, max_head_bytes);
  if (!text && text.error().errno_value == ENOENT) return std::nullopt;
  if (!text) return pass(std::move(text));
  return std::move(*text);
}

Result<std::vector<LogFile>> open_files(BorrowedFd directory) {
  const Result<std::vector<std::string>> names = list_directory(directory);
  if (!names) return std::unexpected(names.error());
  std::vector<LogFile> files;
  for (const std::string& name : *names) {
    const std::optional<std::uint64_t> number = file_number(name);
    if (!number) continue;
    Result<UniqueFd> file = sys::open_beneath(directory, name, O_RDONLY | O_NOFOLLOW);
    if (!file && file.error().errno_value == ENOENT) continue;  // rotated away meanwhile: the head has then changed too
    if (!file) return fail(std::move(file), "cannot read the audit log");
    files.push_back({.number = *number, .fd = std::move(*file)});
  }
  std::ranges::sort(files, {}, &LogFile::number);
  return files;
}

// One pass over the chain.
class Check {
 public:
  Check(Head head, std::optional<Link> outside) : head_(head), outside_(outside), place_file_(head.oldest_file) {
    verified_.last = head_.before_oldest;
  }

  Result<void> read(const LogFile& file) {
    if (file.number < head_.oldest_file || verified_.fault)
      return {};  // the head does not name it: about to be removed
    if (file.number != next_file_.value_or(head_.oldest_file)) {
      fault(FaultKind::missing, verified_.last.seq + 1, next_file_.value_or(head_.oldest_file), 0,
            "the file is not there");
      return {};
    }
    next_file_ = file.number + 1;
    const Result<std::string> content = content_of(file);
    if (!content) return std::unexpected(content.error());
    std::uint64_t number = 0;
    for (std::string_view rest = *content; !rest.empty() && !verified_.fault;)
      line(take_line(rest), file.number, ++number);
    return {};
  }

  Verified finish() {
    const std::uint64_t known = std::max(head_.last.seq, outside_ ? outside_->seq : 0);
    if (!verified_.fault && verified_.last.seq < known)
      fault(torn_ ? FaultKind::unreadable : FaultKind::cut, verified_.last.seq + 1, place_file_,
            torn_ ? place_line_ + 1 : 0,
            fmt::format("the log ends after record {}; {} were on the disk", verified_.last.seq, known));
    if (verified_.last.seq > head_.last.seq) verified_.beyond_head = verified_.last.seq - head_.last.seq;
    if (verified_.records == 0) verified_.last = {};
    return std::move(verified_);
  }

 private:
  void fault(FaultKind kind, std::uint64_t seq, std::uint64_t file, std::uint64_t line, std::string explanation) {
    verified_.fault =
        Fault{.kind = kind, .seq = seq, .file = file_name(file), .line = line, .explanation = std::move(explanation)};
  }

  void line(const RawLine& raw, std::uint64_t file, std::uint64_t number) {
    const std::uint64_t expected = verified_.last.seq + 1;
    // Bytes without a newline at the very end are a group on its way to the disk, or what a crash left of it, as long
    // as nobody was told of them: finish() decides.
    if (torn_) return fault(FaultKind::unreadable, expected, place_file_, place_line_ + 1, "the line has no end");
    torn_ = !raw.ended;
    if (torn_) return;
    const Result<Entry> entry = parse_line(raw.bytes);
    if (!entry) return fault(FaultKind::unreadable, expected, file, number, "the line is not a record");
    if (entry->seq > expected)
      return fault(FaultKind::missing, expected, file, number,
                   fmt::format("record {} stands where record {} belongs", entry->seq, expected));
    if (entry->seq < expected)
      return fault(FaultKind::misplaced, entry->seq, file, number,
                   fmt::format("record {} stands a second time, where record {} belongs", entry->seq, expected));
    if (entry->prev != verified_.last.hash) {
      if (verified_.records == 0)
        return fault(FaultKind::changed, expected, file, number, "it does not follow what was rotated away");
      return fault(FaultKind::changed, verified_.last.seq, place_file_, place_line_,
                   fmt::format("record {} has another hash for it", expected));
    }
    const Link link{.seq = entry->seq, .hash = sha256(raw.bytes)};
    if (link.seq == head_.last.seq && link != head_.last)
      return fault(FaultKind::changed, link.seq, file, number, "the head has another hash for it");
    if (outside_ && link.seq == outside_->seq && link != *outside_)
      return fault(FaultKind::changed, link.seq, file, number,
                   "the head kept outside has another hash for it: it or one before was rewritten");
    if (verified_.records++ == 0) verified_.first_seq = link.seq;
    verified_.last = link;
    place_file_ = file;
    place_line_ = number;
  }

  Head head_;
  std::optional<Link> outside_;
  Verified verified_;
  std::optional<std::uint64_t> next_file_;
  bool torn_ = false;
  std::uint64_t place_file_;  ///< where the last sound record stands
  std::uint64_t place_line_ = 0;
};

Verified faulty_head(std::string explanation) {
  Verified verified;
  verified.fault = Fault{.kind = FaultKind::head, .file = head_name, .explanation = std::move(explanation)};
  return verified;
}

// Calls `give` with each line of all files.
template <class Give>
Result<void> for_each_line(const Source& source, Give give) {
  for (const LogFile& file : source.files) {
    const Result<std::string> content = content_of(file);
    if (!content) return std::unexpected(content.error());
    for (std::string_view rest = *content; !rest.empty();) give(take_line(rest).bytes);
  }
  return {};
}

}  // namespace

Result<Source> open_source(BorrowedFd directory, BorrowedFd state) {
  Result<std::optional<std::string>> head = head_text(state);
  for (int tries = 0; head; ++tries) {
    Result<std::vector<LogFile>> files = open_files(directory);
    if (!files) return pass(std::move(files));
    Result<std::optional<std::string>> after = head_text(state);
    if (!after) return pass(std::move(after));
    // The same head before and after: the files are at least what it names. A log that never rests is shown as it is.
    if (*after == *head || tries == 10) return Source{.files = std::move(*files), .head = std::move(*head)};
    head = std::move(after);
  }
  return pass(std::move(head));
}

Description describe(Source source) {
  Description description;
  nlohmann::json numbers = nlohmann::json::array();
  for (LogFile& file : source.files) {
    numbers.push_back(file.number);
    description.fds.push_back(std::move(file.fd));
  }
  nlohmann::json meta = {{"version", 1}, {"files", numbers}, {"head", nullptr}};
  if (source.head) meta["head"] = *source.head;
  // A head that is not UTF-8 is unreadable in either form.
  description.meta = meta.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return description;
}

Result<Source> parse_description(Description description) {
  const auto refuse = [] {
    return fail(ErrorKind::corrupt, "the description of an audit log is not one of this version");
  };
  // The one place that may throw: a member that is missing or of another type.
  try {
    const nlohmann::json meta = nlohmann::json::parse(description.meta);
    const nlohmann::json& numbers = meta.at("files");
    if (meta.at("version").get<int>() != 1 || !numbers.is_array() || numbers.size() != description.fds.size())
      return refuse();
    Source source;
    if (!meta.at("head").is_null()) source.head = meta.at("head").get<std::string>();
    for (std::size_t i = 0; i < numbers.size(); ++i)
      source.files.push_back({.number = numbers.at(i).get<std::uint64_t>(), .fd = std::move(description.fds.at(i))});
    if (std::ranges::adjacent_find(source.files, std::ranges::greater_equal{}, &LogFile::number) != source.files.end())
      return refuse();
    return source;
  } catch (const std::exception&) {
    return refuse();
  }
}

std::string_view to_string(FaultKind kind) {
  switch (kind) {
    case FaultKind::changed:
      return "changed";
    case FaultKind::unreadable:
      return "unreadable";
    case FaultKind::missing:
      return "missing";
    case FaultKind::misplaced:
      return "misplaced";
    case FaultKind::cut:
      return "cut";
    case FaultKind::head:
      return "head";
  }
  return "unknown";
}

Result<Verified> verify(const Source& source, const std::optional<Link>& outside) {
  if (!source.head && source.files.empty() && !outside) return Verified{};
  if (!source.head) return faulty_head("it is missing beside the log");
  const Result<Head> head = parse_head(*source.head);
  if (!head) return faulty_head(sentence(head.error()));
  if (outside && outside->seq <= head->before_oldest.seq)
    return fail(ErrorKind::not_found,
                fmt::format("record {} of the head kept outside was rotated away; the log begins after {}",
                            outside->seq, head->before_oldest.seq));
  Check check(*head, outside);
  for (const LogFile& file : source.files)
    if (Result<void> read = check.read(file); !read) return pass(std::move(read));
  return check.finish();
}

int exit_code(const Verified& verified) {
  return verified.fault ? 1 : 0;
}

Result<void> show(const Source& source, const Filter& filter,
                  const std::function<void(const std::optional<Entry>&, std::string_view line)>& give) {
  const auto wanted = [&](std::string_view line) -> std::optional<std::optional<Entry>> {
    const Result<Entry> entry = parse_line(line);
    if (!entry) return std::optional<Entry>{};
    if (filter.since && entry->time < *filter.since) return std::nullopt;
    return *entry;
  };
  std::uint64_t skip = 0;
  if (filter.last) {
    std::uint64_t count = 0;
    if (Result<void> read = for_each_line(source, [&](std::string_view line) { count += wanted(line) ? 1 : 0; }); !read)
      return read;
    skip = count > *filter.last ? count - *filter.last : 0;
  }
  return for_each_line(source, [&](std::string_view line) {
    const std::optional<std::optional<Entry>> entry = wanted(line);
    if (!entry) return;
    if (skip != 0)
      --skip;
    else
      give(*entry, line);
  });
}

}  // namespace orlop::audit
