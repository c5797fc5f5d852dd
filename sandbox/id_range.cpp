#include "sandbox/id_range.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <limits>
#include <ranges>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::sandbox {
namespace {

constexpr const char* map_file = "id-ranges";
constexpr const char* claims_file = "claims";
constexpr std::size_t max_file = std::size_t{16} << 20;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (const auto part : std::views::split(text, separator)) parts.emplace_back(part.begin(), part.end());
  return parts;
}

std::optional<std::uint32_t> number(std::string_view digits) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
  return value;
}

// Both records are lines `FIRST TEXT`: text is an owner in the map, a state directory among the claims.
struct Line {
  IdRange range;
  std::string text;
  friend bool operator==(const Line&, const Line&) = default;
};

bool is_valid(IdRange range) {
  return range.first % id_range_size == 0 && range.first >= first_container_id &&
         range.first <= last_container_id - (id_range_size - 1);
}

Result<std::vector<Line>> read_lines(BorrowedFd directory, const char* file) {
  Result<std::string> text = read_file(directory, file, max_file);
  if (!text && text.error().errno_value == ENOENT) return std::vector<Line>{};
  if (!text) return pass(std::move(text));
  if (text->empty()) return std::vector<Line>{};
  std::vector<Line> lines;
  std::vector<std::string_view> written = split(*text, '\n');
  const bool whole = written.back().empty();  // every line ends
  written.pop_back();
  for (const std::string_view line : written) {
    const std::size_t space = line.find(' ');
    const std::optional<std::uint32_t> first = number(line.substr(0, space));
    if (!first || !is_valid({*first}) || space == std::string_view::npos || space + 1 == line.size())
      return fail(ErrorKind::corrupt, fmt::format("'{}' is no line of the id range file '{}'", line, file),
                  "move the file away only if no container or volume of this host uses an id range");
    lines.push_back({.range = {*first}, .text = std::string(line.substr(space + 1))});
  }
  if (!whole) return fail(ErrorKind::corrupt, fmt::format("the id range file '{}' ends within a line", file));
  std::ranges::sort(lines, {}, &Line::range);
  if (std::ranges::adjacent_find(lines, {}, &Line::range) != lines.end())
    return fail(ErrorKind::corrupt, fmt::format("the id range file '{}' names a range twice", file));
  return lines;
}

Result<void> write_lines(BorrowedFd directory, const char* file, const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += fmt::format("{} {}\n", line.range.first, line.text);
  return replace_file(directory, file, text, Durability::power_loss);
}

// The host-wide lock, on the directory: the file itself is replaced at every change. Released when closed.
Result<UniqueFd> lock(BorrowedFd claims) {
  // An open file description of its own, so that two instances in one process exclude each other as well.
  Result<UniqueFd> locked = sys::open_beneath(claims, ".", O_RDONLY | O_DIRECTORY);
  if (!locked) return locked;
  while (::flock(locked->get(), LOCK_EX) != 0)
    if (errno != EINTR) return fail_errno(errno, "flock", "cannot lock the id ranges of this host");
  return locked;
}

bool overlaps(IdRange range, const TakenIds& taken) {
  return taken.first <= range.first + (id_range_size - 1) && taken.last >= range.first;
}

// Ids of every process: real, effective, saved and file system id, of user and group (proc_pid_status(5)).
Result<std::vector<TakenIds>> ids_of_processes(BorrowedFd proc) {
  Result<std::vector<std::string>> names = list_directory(proc);
  if (!names) return pass(std::move(names));
  std::vector<TakenIds> taken;
  for (const std::string& name : *names) {
    if (!number(name)) continue;
    Result<std::string> status = read_file(proc, name + "/status", max_file);
    if (!status) continue;  // it has ended
    for (const std::string_view line : split(*status, '\n'))
      if (line.starts_with("Uid:") || line.starts_with("Gid:") || line.starts_with("Groups:"))
        for (const std::string_view field : split(line, '\t'))
          for (const std::string_view word : split(field, ' '))
            if (const std::optional<std::uint32_t> id = number(word); id && *id >= first_container_id)
              taken.push_back({.first = *id, .last = *id});
  }
  return taken;
}

Result<std::vector<TakenIds>> ids_of_host_users(BorrowedFd etc) {
  std::vector<TakenIds> taken;
  for (const char* file : {"subuid", "subgid", "passwd", "group"}) {
    Result<std::string> text = read_file(etc, file, max_file);
    if (!text && text.error().errno_value == ENOENT) continue;
    if (!text) return pass(std::move(text));
    const bool subordinate = std::string_view(file).starts_with("sub");
    for (const TakenIds& ids : subordinate ? parse_subordinate_ids(*text) : parse_account_ids(*text))
      taken.push_back(ids);
  }
  return taken;
}

}  // namespace

std::vector<TakenIds> parse_subordinate_ids(std::string_view text) {
  std::vector<TakenIds> taken;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() != 3) continue;
    const std::optional<std::uint32_t> first = number(fields[1]);
    const std::optional<std::uint32_t> count = number(fields[2]);
    if (!first || !count || *count == 0) continue;
    const std::uint64_t last = std::uint64_t{*first} + *count - 1;
    taken.push_back(
        {.first = *first,
         .last = static_cast<std::uint32_t>(std::min<std::uint64_t>(last, std::numeric_limits<std::uint32_t>::max()))});
  }
  return taken;
}

std::vector<TakenIds> parse_account_ids(std::string_view text) {
  std::vector<TakenIds> taken;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    const std::size_t end = fields.size() >= 7 ? 4 : 3;  // passwd has seven fields, group four
    for (std::size_t i = 2; i < std::min(end, fields.size()); ++i)
      if (const std::optional<std::uint32_t> id = number(fields[i])) taken.push_back({.first = *id, .last = *id});
  }
  return taken;
}

Result<IdRanges> IdRanges::open(BorrowedFd state_directory, std::string state_path, const Paths& paths) {
  const std::string doing = "cannot open the id ranges";
  IdRanges ranges;
  ranges.state_path_ = std::move(state_path);
  if (!ranges.state_path_.starts_with('/') || ranges.state_path_.contains('\n'))
    return fail(ErrorKind::config, fmt::format("'{}' is no absolute path of a state directory", ranges.state_path_));
  if (::mkdir(paths.claims.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(errno, "mkdir", fmt::format("{}: cannot make '{}'", doing, paths.claims));
  const auto open_at = [&](const std::string& path, UniqueFd& fd) -> Result<void> {
    Result<UniqueFd> opened = sys::open(path, O_RDONLY | O_DIRECTORY);
    if (!opened) return fail(std::move(opened), doing);
    fd = std::move(*opened);
    return {};
  };
  if (Result<void> opened = open_at(paths.claims, ranges.claims_); !opened) return pass(std::move(opened));
  if (Result<void> opened = open_at(paths.etc, ranges.etc_); !opened) return pass(std::move(opened));
  if (Result<void> opened = open_at(paths.proc, ranges.proc_); !opened) return pass(std::move(opened));
  Result<UniqueFd> state = sys::open_beneath(state_directory, ".", O_RDONLY | O_DIRECTORY);
  if (!state) return fail(std::move(state), doing);
  ranges.state_ = std::move(*state);

  Result<std::vector<Line>> map = read_lines(ranges.state_, map_file);
  if (!map) return fail(std::move(map), doing);
  for (Line& line : *map)
    if (!ranges.ranges_.emplace(std::move(line.text), line.range).second)
      return fail(ErrorKind::corrupt, fmt::format("{}: the file '{}' names an owner twice", doing, map_file));

  Result<UniqueFd> locked = lock(ranges.claims_);
  if (!locked) return fail(std::move(locked), doing);
  Result<std::vector<Line>> claims = read_lines(ranges.claims_, claims_file);
  if (!claims) return fail(std::move(claims), doing);
  // Of others, what belongs to a directory that is still there; of ours, exactly what the map says.
  std::vector<Line> kept;
  for (const Line& claim : *claims)
    if (claim.text != ranges.state_path_ && (::access(claim.text.c_str(), F_OK) == 0 || errno != ENOENT))
      kept.push_back(claim);
  for (const auto& [owner, range] : ranges.ranges_) {
    const auto other = std::ranges::find(kept, range, &Line::range);
    if (other != kept.end())
      return fail(ErrorKind::corrupt,
                  fmt::format("{}: the range {} of '{}' is also claimed by the instance in '{}'", doing, range.first,
                              owner, other->text),
                  "one of the two state directories is a copy: remove it");
    kept.push_back({.range = range, .text = ranges.state_path_});
  }
  std::ranges::sort(kept, {}, &Line::range);
  if (kept != *claims)
    if (Result<void> written = write_lines(ranges.claims_, claims_file, kept); !written)
      return fail(std::move(written), doing);
  return ranges;
}

Result<void> IdRanges::save(const std::map<std::string, IdRange>& ranges) const {
  std::vector<Line> lines;
  for (const auto& [owner, range] : ranges) lines.push_back({.range = range, .text = owner});
  std::ranges::sort(lines, {}, &Line::range);
  return write_lines(state_, map_file, lines);
}

Result<IdRange> IdRanges::claim(const std::string& owner) {
  if (const std::optional<IdRange> own = find(owner)) return *own;
  const std::string doing = fmt::format("cannot claim an id range for '{}'", owner);
  if (owner.empty() || owner.contains('\n')) return fail(ErrorKind::internal, doing + ": this is no owner");
  Result<UniqueFd> locked = lock(claims_);
  if (!locked) return fail(std::move(locked), doing);
  Result<std::vector<Line>> claims = read_lines(claims_, claims_file);
  if (!claims) return fail(std::move(claims), doing);
  Result<std::vector<TakenIds>> users = ids_of_host_users(etc_);
  if (!users) return fail(std::move(users), doing);
  Result<std::vector<TakenIds>> processes = ids_of_processes(proc_);
  if (!processes) return fail(std::move(processes), doing);

  const auto is_free = [&](IdRange range) {
    const auto taken = [range](const TakenIds& ids) { return overlaps(range, ids); };
    return !std::ranges::binary_search(*claims, range, {}, &Line::range) && !std::ranges::any_of(*users, taken) &&
           !std::ranges::any_of(*processes, taken);
  };
  IdRange range{first_container_id};
  while (is_valid(range) && !is_free(range)) range.first += id_range_size;
  if (!is_valid(range))
    return fail(ErrorKind::limit, doing + ": every range of the host is taken",
                "remove containers and volumes that are not needed");

  claims->push_back({.range = range, .text = state_path_});
  std::ranges::sort(*claims, {}, &Line::range);
  if (Result<void> written = write_lines(claims_, claims_file, *claims); !written)
    return fail(std::move(written), doing);
  std::map<std::string, IdRange> with = ranges_;
  with.emplace(owner, range);
  if (Result<void> saved = save(with); !saved) return fail(std::move(saved), doing);
  ranges_ = std::move(with);
  return range;
}

Result<void> IdRanges::release(const std::string& owner) {
  const auto own = ranges_.find(owner);
  if (own == ranges_.end()) return {};
  const IdRange range = own->second;
  const std::string doing = fmt::format("cannot give up the id range of '{}'", owner);
  std::map<std::string, IdRange> without = ranges_;
  without.erase(owner);
  if (Result<void> saved = save(without); !saved) return fail(std::move(saved), doing);
  ranges_ = std::move(without);
  // From here a failure only delays: the next open() drops what the map does not name.
  Result<UniqueFd> locked = lock(claims_);
  if (!locked) return fail(std::move(locked), doing);
  Result<std::vector<Line>> claims = read_lines(claims_, claims_file);
  if (!claims) return fail(std::move(claims), doing);
  std::erase_if(*claims, [&](const Line& line) { return line.range == range && line.text == state_path_; });
  if (Result<void> written = write_lines(claims_, claims_file, *claims); !written)
    return fail(std::move(written), doing);
  return {};
}

std::optional<IdRange> IdRanges::find(const std::string& owner) const {
  const auto own = ranges_.find(owner);
  return own == ranges_.end() ? std::nullopt : std::optional(own->second);
}

namespace {

// A child in a new user namespace that waits to be killed. It holds no descriptor: a copy of someone's last one (a
// pipe, a FUSE channel) would keep that thing alive. Only system calls between clone3 and the end.
struct Holder {
  pid_t pid = -1;
  UniqueFd pidfd;

  Holder() = default;
  Holder(Holder&&) = delete;
  ~Holder() {
    if (!pidfd) return;
    (void)sys::pidfd_send_signal(pidfd, SIGKILL);  // it may have ended by itself
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
  }

  Result<void> start() {
    int fd = -1;
    const pid_t parent = ::getpid();
    clone_args arguments{};
    arguments.flags = CLONE_NEWUSER | CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&fd);
    arguments.exit_signal = 0;  // nobody's SIGCHLD handler hears of it
    pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
    if (pid < 0) return fail_errno(errno, "clone3", "cannot make a user namespace");
    if (pid == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
      (void)::syscall(SYS_close_range, 0U, ~0U, 0U);
      while (::getppid() == parent) ::pause();  // false at once if the parent died before the line above
      ::_exit(0);
    }
    pidfd.reset(fd);
    return {};
  }
};

}  // namespace

Result<UniqueFd> map_ids(pid_t pid, BorrowedFd pidfd, IdRange range, std::uint32_t inside) {
  const std::string doing = fmt::format("cannot map the id range {}", range.first);
  Result<UniqueFd> process = sys::open(fmt::format("/proc/{}", pid), O_PATH | O_DIRECTORY);
  if (!process) return fail(std::move(process), doing);
  // The directory is the process's if it still lives after the directory was opened.
  if (Result<void> alive = sys::pidfd_send_signal(pidfd, 0); !alive) return fail(std::move(alive), doing);
  const std::string map = fmt::format("{} {} {}\n", inside, range.first, id_range_size);
  for (const char* file : {"uid_map", "gid_map"}) {
    Result<UniqueFd> opened = sys::open_beneath(*process, file, O_WRONLY);
    if (!opened) return fail(std::move(opened), doing);
    if (Result<void> written = write_all(*opened, map); !written) return fail(std::move(written), doing);
  }
  return process;
}

Result<UniqueFd> make_userns(IdRange range, std::uint32_t inside) {
  const std::string doing = fmt::format("cannot make the user namespace of the id range {}", range.first);
  Holder holder;
  if (Result<void> started = holder.start(); !started) return fail(std::move(started), doing);
  Result<UniqueFd> process = map_ids(holder.pid, holder.pidfd, range, inside);
  if (!process) return fail(std::move(process), doing);
  // A magic link, which openat2 would refuse to follow; the directory is known to be right.
  const int userns = ::openat(process->get(), "ns/user", O_RDONLY | O_CLOEXEC);
  if (userns < 0) return fail_errno(errno, "openat", doing);
  return UniqueFd(userns);
}

}  // namespace orlop::sandbox
