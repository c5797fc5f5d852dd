#include "base/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/sys.hpp"

namespace orlop {
namespace {

struct DirClose {
  void operator()(DIR* dir) const noexcept { (void)::closedir(dir); }
};

Result<void> sync_directory(BorrowedFd directory) {
  if (::fsync(directory.get()) != 0) return fail_errno(errno, "fsync", "cannot sync a directory");
  return {};
}

// Removes what one step can remove: anything but a directory that holds something, for which the result is false. The
// kernel's rmdir answers EBUSY for a mount before it looks inside, so a false also says that `name` is none.
Result<bool> remove_entry(BorrowedFd directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR) return fail_errno(errno, "unlinkat", fmt::format("cannot remove '{}'", name));
  if (::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno == ENOTEMPTY || errno == EEXIST) return false;
  if (errno == EBUSY)
    return fail(ErrorKind::conflict, fmt::format("'{}' is a mount", name), "unmount it, then try again");
  return fail_errno(errno, "unlinkat", fmt::format("cannot remove the directory '{}'", name));
}

// A directory on the way to the one that is being emptied.
struct Level {
  std::string name;
  dev_t device = 0;
  ino_t inode = 0;
  std::vector<std::string> directories = {};  ///< in it, holding something
};

Result<bool> is_at(BorrowedFd directory, const Level& level) {
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0) return fail_errno(errno, "fstat", "cannot look at a directory");
  return status.st_dev == level.device && status.st_ino == level.inode;
}

// Removes what `inside`, the directory `name`, holds, but for the directories that hold something themselves.
Result<Level> begin_level(BorrowedFd inside, const std::string& name) {
  struct stat status{};
  if (::fstat(inside.get(), &status) != 0) return fail_errno(errno, "fstat", fmt::format("cannot look at '{}'", name));
  Level level{.name = name, .device = status.st_dev, .inode = status.st_ino};
  Result<std::vector<std::string>> names = list_directory(inside);
  if (!names) return fail(std::move(names), fmt::format("in '{}'", name));
  for (std::string& entry : *names) {
    Result<bool> removed = remove_entry(inside, entry);
    if (!removed) return fail(std::move(removed), fmt::format("in '{}'", name));
    if (!*removed) level.directories.push_back(std::move(entry));
  }
  return level;
}

// Who made the tree chose its depth: neither the stack nor the number of descriptors may grow with it. So the walk
// holds one directory open and goes up by "..", which is believed only if it leads to where the walk came from.
Result<void> remove_directory(BorrowedFd directory, const std::string& name) {
  constexpr int open_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  UniqueFd here;
  std::vector<Level> path;
  std::string below = name;
  for (;;) {
    Result<UniqueFd> inside = sys::open_beneath(path.empty() ? directory : BorrowedFd(here), below, open_flags);
    if (!inside) return pass(std::move(inside));
    here = std::move(*inside);
    Result<Level> begun = begin_level(here, below);
    if (!begun) return pass(std::move(begun));
    path.push_back(std::move(*begun));
    while (path.back().directories.empty()) {
      const Level done = std::move(path.back());
      path.pop_back();
      if (!path.empty()) {
        here = UniqueFd(::openat(here.get(), "..", open_flags | O_CLOEXEC));
        if (!here) return fail_errno(errno, "openat", fmt::format("cannot leave '{}'", done.name));
        Result<bool> back = is_at(here, path.back());
        if (!back) return pass(std::move(back));
        if (!*back)
          return fail(ErrorKind::conflict, fmt::format("'{}' was moved while it was being removed", done.name));
      }
      Result<bool> removed = remove_entry(path.empty() ? directory : BorrowedFd(here), done.name);
      if (!removed) return pass(std::move(removed));
      if (!*removed)
        return fail(ErrorKind::conflict, fmt::format("'{}' was written to while it was being removed", done.name));
      if (path.empty()) return {};
    }
    below = std::move(path.back().directories.back());
    path.back().directories.pop_back();
  }
}

}  // namespace

Result<std::string> read_all(BorrowedFd fd, std::size_t max_bytes) {
  std::string bytes;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "read", "cannot read a file");
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(count) > max_bytes)
      return fail(ErrorKind::limit, fmt::format("larger than {} bytes", max_bytes));
    bytes.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

Result<std::string> read_file(BorrowedFd directory, const std::string& name, std::size_t max_bytes) {
  Result<UniqueFd> file = sys::open_beneath(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file) return pass(std::move(file));
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return fail_errno(errno, "fstat", fmt::format("cannot look at '{}'", name));
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::corrupt, fmt::format("'{}' is not a regular file", name));
  Result<std::string> bytes = read_all(*file, max_bytes);
  if (!bytes) return fail(std::move(bytes), fmt::format("cannot read '{}'", name));
  return bytes;
}

Result<void> write_all(BorrowedFd fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "write", "cannot write a file");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> replace_file(BorrowedFd directory, const std::string& name, std::string_view bytes, Durability durability,
                          unsigned mode) {
  const std::string doing = fmt::format("cannot write '{}'", name);
  const std::string temporary = fmt::format(".{}.new", name);
  (void)::unlinkat(directory.get(), temporary.c_str(), 0);  // left by a crash; O_EXCL below says if it could not go
  Result<UniqueFd> file = sys::open_beneath(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (!file) return fail(std::move(file), doing);
  Result<void> written = write_all(*file, bytes);
  if (written && durability == Durability::power_loss && ::fdatasync(file->get()) != 0)
    written = fail_errno(errno, "fdatasync", "cannot sync a file");
  if (written && ::renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0)
    written = fail_errno(errno, "renameat", "cannot rename a file");
  if (!written) {
    (void)::unlinkat(directory.get(), temporary.c_str(), 0);  // the first error is the one to tell
    return fail(std::move(written), doing);
  }
  if (durability == Durability::power_loss)
    if (Result<void> synced = sync_directory(directory); !synced) return fail(std::move(synced), doing);
  return {};
}

Result<UniqueFd> make_directory(BorrowedFd directory, const std::string& name, unsigned mode) {
  if (::mkdirat(directory.get(), name.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno(errno, "mkdirat", fmt::format("cannot make the directory '{}'", name));
  return sys::open_beneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<void> remove_tree(BorrowedFd directory, const std::string& name) {
  Result<bool> removed = remove_entry(directory, name);
  if (!removed) return pass(std::move(removed));
  if (*removed) return {};
  if (Result<void> emptied = remove_directory(directory, name); !emptied)
    return fail(std::move(emptied), fmt::format("cannot remove '{}'", name));
  return {};
}

Result<std::vector<std::string>> list_directory(BorrowedFd directory) {
  Result<UniqueFd> copy = sys::open_beneath(directory, ".", O_RDONLY | O_DIRECTORY);
  if (!copy) return pass(std::move(copy));
  const std::unique_ptr<DIR, DirClose> stream(::fdopendir(copy->get()));
  if (!stream) return fail_errno(errno, "fdopendir", "cannot list a directory");
  (void)copy->release();  // the stream closes it
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return fail_errno(errno, "readdir", "cannot list a directory");
  std::ranges::sort(names);
  return names;
}

}  // namespace orlop
