#include "image/worker/tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <limits>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "image/path.hpp"
#include "image/record.hpp"

namespace orlop::image {
namespace {

constexpr int max_links = 40;  // as the kernel allows in one path
constexpr std::string_view capability_name = "security.capability";

timespec seconds(std::int64_t count) {
  return {.tv_sec = std::clamp<std::int64_t>(count, 0, std::numeric_limits<std::uint32_t>::max()), .tv_nsec = 0};
}

std::unexpected<Error> fail_at(const char* call, std::string_view doing) {
  return fail_errno(errno, call, std::string(doing));
}

Result<void> set_times(BorrowedFd directory, const char* name, timespec atime, timespec mtime) {
  const std::array times{atime, mtime};
  if (::utimensat(directory.get(), name, times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return fail_at("utimensat", "cannot set times");
  return {};
}

Result<void> set_times(BorrowedFd fd, timespec atime, timespec mtime) {
  const std::array times{atime, mtime};
  if (::futimens(fd.get(), times.data()) != 0) return fail_at("futimens", "cannot set times");
  return {};
}

// The same image must give the same bytes in every jail: one that cannot keep what an entry has is refused, not obeyed.
std::unexpected<Error> lacks(const char* capability) {
  return fail(ErrorKind::internal,
              fmt::format("orlop-image needs {} in its own user namespace to keep what it has", capability));
}

std::string_view kind_of(const struct stat& status) {
  if (S_ISLNK(status.st_mode)) return "a symbolic link";
  if (S_ISREG(status.st_mode)) return "a file";
  return "not a directory";
}

// A whiteout below what is no directory of lower layers, or no longer: umoci writes such beside the file or link that
// took the directory's place.
bool hides_nothing(const Error& error) {
  return error.errno_value == ENOENT || error.errno_value == ENOTDIR || error.errno_value == ELOOP;
}

}  // namespace

Result<void> Tree::begin_layer(int number) {
  layer_ = number;
  return leave_parent();
}

Result<void> Tree::end_layer() {
  return leave_parent();
}

// What was done in a directory moved its times; they are set back when the next entry is elsewhere.
Result<void> Tree::leave_parent() {
  if (!parent_) return {};
  const Parent left = std::move(*parent_);
  parent_.reset();
  return set_times(left.fd, left.atime, left.mtime);
}

Result<Tree::Place> Tree::place_of(const std::string& path, bool make) {
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == std::string::npos ? "" : path.substr(0, slash);
  if (!parent_ || parent_->path != above) {
    if (Result<void> left = leave_parent(); !left) return pass(std::move(left));
    Result<UniqueFd> fd = open_parent(above, make);
    if (!fd) return pass(std::move(fd));
    struct stat status{};
    if (::fstat(fd->get(), &status) != 0) return fail_at("fstat", "cannot look at a directory");
    parent_ = Parent{.path = above, .fd = std::move(*fd), .atime = status.st_atim, .mtime = status.st_mtim};
  }
  return Place{.directory = parent_->fd, .name = path.substr(slash == std::string::npos ? 0 : slash + 1)};
}

Result<UniqueFd> Tree::open_parent(const std::string& path, bool make) {
  constexpr int flags = O_RDONLY | O_DIRECTORY;
  if (path.empty()) return sys::open_beneath(root_, ".", flags);
  if (Result<UniqueFd> whole = sys::open_without_links(root_, path, flags); whole) return whole;
  Result<std::string> real = resolve(path);
  if (!real) return pass(std::move(real));
  if (real->empty()) return sys::open_beneath(root_, ".", flags);
  if (make)
    if (Result<void> made = add_directory("/" + *real); !made) return pass(std::move(made));
  return sys::open_without_links(root_, *real, flags);
}

// The path, relative and without links, that `path` means inside the image; its end may not exist yet. Done by hand
// and not by RESOLVE_IN_ROOT, because each link is judged by its layer and the real depth must stay bounded.
Result<std::string> Tree::resolve(const std::string& path) {
  std::deque<std::string> rest;
  for (const std::string_view part : components(path)) rest.emplace_back(part);
  std::vector<std::string> real;
  const auto joined = [&] {
    std::string text;
    for (const std::string& part : real) text.append(text.empty() ? "" : "/").append(part);
    return text;
  };
  bool exists = true;  // whatever lies below a missing directory is missing too
  for (int links = 0; !rest.empty();) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == "..") {
      if (!real.empty()) real.pop_back();
      exists = true;
      continue;
    }
    real.push_back(part);
    const std::string here = joined();
    if (real.size() > max_path_depth || here.size() > max_path_bytes)
      return fail(ErrorKind::limit, "its directory is too deep once links are resolved");
    struct stat status{};
    if (!exists || ::fstatat(root_.get(), here.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (exists && errno != ENOENT) return fail_at("fstatat", "cannot look at its directory");
      exists = false;
      continue;
    }
    if (S_ISDIR(status.st_mode)) continue;
    if (!S_ISLNK(status.st_mode))
      return fail_errno(ENOTDIR, "openat2", fmt::format("'{}' above it is {}", printable(here), kind_of(status)));
    if (is_of_this_layer(status))
      return fail_errno(ELOOP, "openat2",
                        fmt::format("it leads through '{}', a symbolic link of the same layer", printable(here)));
    if (++links > max_links) return fail_errno(ELOOP, "openat2", "it leads through too many symbolic links");
    std::array<char, max_path_bytes + 1> target{};
    const ssize_t length = ::readlinkat(root_.get(), here.c_str(), target.data(), target.size());
    if (length < 0) return fail_at("readlinkat", "cannot read a link above it");
    const std::string_view text(target.data(), static_cast<std::size_t>(length));
    real.pop_back();
    if (text.starts_with('/')) real.clear();
    const std::vector<std::string_view> parts = components(text);
    if (parts.size() + rest.size() > 4 * max_path_depth) return fail(ErrorKind::limit, "it leads through long links");
    for (auto each = parts.rbegin(); each != parts.rend(); ++each) rest.emplace_front(*each);
  }
  return joined();
}

Result<void> Tree::make_room(const Place& place, bool keep_directory) {
  struct stat status{};
  if (::fstatat(place.directory.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_at("fstatat", "cannot look at what is there");
  }
  if (keep_directory && S_ISDIR(status.st_mode)) return {};
  return remove_tree(place.directory, place.name);
}

Result<std::optional<UniqueFd>> Tree::put(const Entry& entry) {
  const bool dropped = entry.type == EntryType::device || entry.type == EntryType::socket;
  if (!dropped && (entry.uid >= id_limit || entry.gid >= id_limit))
    return fail(ErrorKind::corrupt, fmt::format("its owner {}:{} is not below {}", entry.uid, entry.gid, id_limit),
                "a container has 65,536 ids; build the image with smaller ones");
  if (entry.path.empty()) {
    if (entry.type != EntryType::directory) return fail(ErrorKind::corrupt, "the root is not a directory in it");
    if (Result<void> left = leave_parent(); !left) return pass(std::move(left));
    Result<UniqueFd> root = sys::open_beneath(root_, ".", O_RDONLY | O_DIRECTORY);
    if (!root) return pass(std::move(root));
    if (Result<void> put = put_attributes(*root, entry); !put) return pass(std::move(put));
    return std::nullopt;
  }
  Result<Place> place = place_of(entry.path, true);
  if (!place) return pass(std::move(place));

  if (entry.type == EntryType::regular) {
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    Result<UniqueFd> file = sys::open_beneath(place->directory, place->name, flags, 0600);
    if (!file && file.error().errno_value == EEXIST) {
      if (Result<void> room = make_room(*place, false); !room) return pass(std::move(room));
      file = sys::open_beneath(place->directory, place->name, flags, 0600);
    }
    if (!file) return pass(std::move(file));
    return std::optional(std::move(*file));
  }
  if (entry.type == EntryType::directory) {
    if (Result<void> put = put_directory(*place, entry); !put) return pass(std::move(put));
    return std::nullopt;
  }
  if (entry.type == EntryType::hardlink) {
    // The target's directory may be another one: open it on its own, beside the cached parent.
    const std::size_t slash = entry.link.rfind('/');
    Result<UniqueFd> above = open_parent(slash == std::string::npos ? "" : entry.link.substr(0, slash), false);
    if (!above && above.error().errno_value != ENOENT)
      return fail(std::move(above), fmt::format("its target '{}'", printable(entry.link)));
    const std::string name = entry.link.substr(slash == std::string::npos ? 0 : slash + 1);
    struct stat status{};
    if (!above || ::fstatat(above->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return fail(ErrorKind::corrupt, fmt::format("its target '{}' is not in the image", printable(entry.link)));
    if (!S_ISREG(status.st_mode))
      return fail(ErrorKind::corrupt, fmt::format("its target '{}' is not a regular file", printable(entry.link)));
    struct stat own{};
    if (::fstatat(place->directory.get(), place->name.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0 &&
        own.st_dev == status.st_dev && own.st_ino == status.st_ino)
      return std::nullopt;  // a link to itself: what it asks for is there
    if (Result<void> room = make_room(*place, false); !room) return pass(std::move(room));
    if (::linkat(above->get(), name.c_str(), place->directory.get(), place->name.c_str(), 0) != 0)
      return fail_at("linkat", "cannot link");
    if (Result<void> set = set_times(place->directory, place->name.c_str(), seconds(layer_), status.st_mtim); !set)
      return pass(std::move(set));
    return std::nullopt;
  }

  if (Result<void> room = make_room(*place, false); !room) return pass(std::move(room));
  switch (entry.type) {
    case EntryType::device:
    case EntryType::socket:
      report_.add(entry.type == EntryType::device ? Finding::device_dropped : Finding::socket_dropped,
                  "/" + entry.path);
      return std::nullopt;
    case EntryType::symlink:
      if (entry.link.empty() || entry.link.size() > max_path_bytes || entry.link.contains('\0'))
        return fail(ErrorKind::corrupt, "its link text is empty, too long or holds NUL");
      if (::symlinkat(entry.link.c_str(), place->directory.get(), place->name.c_str()) != 0)
        return fail_at("symlinkat", "cannot make a symbolic link");
      break;
    case EntryType::fifo:
      if (::mknodat(place->directory.get(), place->name.c_str(), S_IFIFO | 0600, 0) != 0)
        return fail_at("mknodat", "cannot make a FIFO");
      break;
    case EntryType::regular:
    case EntryType::directory:
    case EntryType::hardlink:
      break;  // done above
  }
  for (const auto& [name, value] : entry.xattrs) report_.add(Finding::xattr_dropped, "/" + entry.path + " " + name);
  if (::fchownat(place->directory.get(), place->name.c_str(), static_cast<uid_t>(entry.uid),
                 static_cast<gid_t>(entry.gid), AT_SYMLINK_NOFOLLOW) != 0)
    return fail_at("fchownat", "cannot set its owner");
  if (entry.type == EntryType::fifo &&
      ::fchmodat(place->directory.get(), place->name.c_str(), entry.mode & 07777U, 0) != 0)
    return fail_at("fchmodat", "cannot set its mode");
  if (Result<void> set = set_times(place->directory, place->name.c_str(), seconds(layer_), seconds(entry.mtime)); !set)
    return pass(std::move(set));
  return std::nullopt;
}

Result<void> Tree::put_directory(const Place& place, const Entry& entry) {
  if (Result<void> room = make_room(place, true); !room) return room;
  Result<UniqueFd> directory = make_directory(place.directory, place.name, 0700);
  if (!directory) return pass(std::move(directory));
  // Of a directory of lower layers everything but its content is replaced.
  std::array<char, 65536> names{};
  const ssize_t length = ::flistxattr(directory->get(), names.data(), names.size());
  std::string_view rest(names.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  while (!rest.empty()) {
    const std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(name.size() + 1);
    if (name.starts_with("user.") && ::fremovexattr(directory->get(), name.c_str()) != 0)
      return fail_at("fremovexattr", "cannot remove an attribute of the directory below it");
  }
  return put_attributes(*directory, entry);
}

Result<void> Tree::finish_file(BorrowedFd file, const Entry& entry) {
  if (::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) return fail_at("ftruncate", "cannot set its size");
  return put_attributes(file, entry);
}

// Owner first, since a change of owner takes setuid bits and file capabilities away; times last.
Result<void> Tree::put_attributes(BorrowedFd fd, const Entry& entry) {
  if (::fchown(fd.get(), static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0)
    return fail_at("fchown", "cannot set its owner");
  if (Result<void> set = put_xattrs(fd, entry); !set) return set;
  if (::fchmod(fd.get(), entry.mode & 07777U) != 0) return fail_at("fchmod", "cannot set its mode");
  if ((entry.mode & S_ISGID) != 0) {
    // Without CAP_FSETID chmod(2) drops the bit of a foreign group and says nothing.
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return fail_at("fstat", "cannot look at its mode");
    if ((status.st_mode & S_ISGID) == 0) return lacks("CAP_FSETID");
  }
  const bool is_file = entry.type == EntryType::regular;
  if (is_file && (entry.mode & (S_ISUID | S_ISGID)) != 0) report_.add(Finding::setuid_inert, "/" + entry.path);
  return set_times(fd, seconds(layer_), seconds(entry.mtime));
}

Result<void> Tree::put_xattrs(BorrowedFd fd, const Entry& entry) {
  std::vector<std::pair<std::string, std::string>> sorted = entry.xattrs;
  std::ranges::sort(sorted);  // the order that mkfs.erofs finds them in is the image's, not the archive's
  for (const auto& [name, value] : sorted) {
    const bool capability = name == capability_name && entry.type == EntryType::regular;
    const std::string where = "/" + entry.path + " " + name;
    if (!capability && !name.starts_with("user.")) {
      report_.add(Finding::xattr_dropped, where);
      continue;
    }
    if (::fsetxattr(fd.get(), name.c_str(), value.data(), value.size(), 0) != 0) {
      if (capability && errno == EPERM) return lacks("CAP_SETFCAP");
      return fail_at("fsetxattr", "cannot set the attribute " + printable(name));
    }
    if (capability) report_.add(Finding::capability_inert, "/" + entry.path);
  }
  return {};
}

Result<void> Tree::whiteout(const std::string& path) {
  Result<Place> place = place_of(path, false);
  if (!place && hides_nothing(place.error())) return {};
  if (!place) return pass(std::move(place));
  return remove_older(place->directory, place->name);
}

Result<void> Tree::opaque(const std::string& path) {
  // Any name inside leads to the directory itself.
  Result<Place> place = place_of(path.empty() ? "x" : path + "/x", false);
  if (!place && hides_nothing(place.error())) return {};
  if (!place) return pass(std::move(place));
  return remove_older_inside(place->directory);
}

Result<void> Tree::remove_older_inside(BorrowedFd directory) {
  Result<std::vector<std::string>> names = list_directory(directory);
  if (!names) return pass(std::move(names));
  for (const std::string& name : *names)
    if (Result<void> removed = remove_older(directory, name); !removed) return removed;
  return {};
}

Result<void> Tree::remove_older(BorrowedFd directory, const std::string& name) {
  struct stat status{};
  if (::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_at("fstatat", "cannot look at what a whiteout hides");
  }
  if (!S_ISDIR(status.st_mode)) {
    if (is_of_this_layer(status)) return {};
    return remove_tree(directory, name);
  }
  Result<UniqueFd> inside = sys::open_beneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!inside) return pass(std::move(inside));
  if (Result<void> removed = remove_older_inside(*inside); !removed) return removed;
  if (!is_of_this_layer(status) && ::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) == 0) return {};
  if (!is_of_this_layer(status) && errno != ENOTEMPTY) return fail_at("unlinkat", "cannot remove a hidden directory");
  return set_times(*inside, status.st_atim, status.st_mtim);  // it stays, for what this layer put into it
}

Result<void> Tree::add_directory(const std::string& path, mode_t mode) {
  Result<UniqueFd> here = sys::open_beneath(root_, ".", O_RDONLY | O_DIRECTORY);
  if (!here) return pass(std::move(here));
  const std::vector<std::string_view> parts = components(path);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string name(parts[i]);
    struct stat above{};
    if (::fstat(here->get(), &above) != 0) return fail_at("fstat", "cannot look at a directory");
    const bool fresh = ::mkdirat(here->get(), name.c_str(), 0700) == 0;
    if (!fresh && errno != EEXIST) return fail_at("mkdirat", "cannot make a directory");
    if (fresh)
      if (Result<void> set = set_times(*here, above.st_atim, above.st_mtim); !set) return set;
    Result<UniqueFd> next = sys::open_beneath(*here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!next && (next.error().errno_value == ENOTDIR || next.error().errno_value == ELOOP))
      return fail(ErrorKind::conflict,
                  fmt::format("'{}' of '{}' is not a directory", printable(name), printable(path)));
    if (!next) return pass(std::move(next));
    if (fresh) {
      if (::fchown(next->get(), 0, 0) != 0) return fail_at("fchown", "cannot set an owner");  // not a setgid parent's
      if (::fchmod(next->get(), i + 1 == parts.size() ? mode : 0755) != 0)
        return fail_at("fchmod", "cannot set a mode");
      if (Result<void> set = set_times(*next, seconds(layer_), seconds(0)); !set) return set;
    }
    here = std::move(next);
  }
  return {};
}

Result<void> Tree::require_directory(const std::string& path, mode_t mode) {
  Result<Place> place = place_of(path.substr(1), true);
  if (!place) return pass(std::move(place));
  struct stat status{};
  const bool there = ::fstatat(place->directory.get(), place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && S_ISDIR(status.st_mode)) return {};
  if (there) {
    report_.add(Finding::mount_point_replaced, fmt::format("{} was {}", path, kind_of(status)));
    if (Result<void> room = make_room(*place, true); !room) return room;
  }
  if (Result<void> left = leave_parent(); !left) return left;
  return add_directory(path, mode);
}

Result<void> Tree::require_file(const std::string& path, std::string_view content) {
  const std::string above = path.substr(0, path.rfind('/'));
  if (Result<void> made = add_directory(above); !made) return made;  // and refuses a link as /etc
  Result<Place> place = place_of(path.substr(1), true);
  if (!place) return pass(std::move(place));
  struct stat status{};
  const bool there = ::fstatat(place->directory.get(), place->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && S_ISREG(status.st_mode)) return {};
  if (there) report_.add(Finding::mount_point_replaced, fmt::format("{} was {}", path, kind_of(status)));
  Entry entry;
  entry.path = path.substr(1);
  entry.mode = 0644;
  entry.size = static_cast<decltype(entry.size)>(content.size());
  Result<std::optional<UniqueFd>> file = put(entry);
  if (!file) return pass(std::move(file));
  if (Result<void> written = write_all(**file, content); !written)
    return fail(std::move(written), fmt::format("cannot write '{}'", path));
  return finish_file(**file, entry);
}

}  // namespace orlop::image
