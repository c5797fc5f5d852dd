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

// The device that a removal may not leave.
Result<void> remove_below(BorrowedFd directory, const std::string& name, dev_t device) {
  if (::unlinkat(directory.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_errno(errno, "unlinkat", fmt::format("cannot remove '{}'", name));
  Result<UniqueFd> inside = sys::open_beneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!inside) return fail(std::move(inside), fmt::format("cannot remove '{}'", name));
  struct stat status{};
  if (::fstat(inside->get(), &status) != 0) return fail_errno(errno, "fstat", fmt::format("cannot remove '{}'", name));
  if (status.st_dev != device)
    return fail(ErrorKind::conflict, fmt::format("'{}' is a mount of another file system", name));
  Result<std::vector<std::string>> names = list_directory(*inside);
  if (!names) return pass(std::move(names));
  for (const std::string& entry : *names)
    if (Result<void> removed = remove_below(*inside, entry, device); !removed)
      return fail(std::move(removed), "in '" + name + "'");
  if (::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return fail_errno(errno, "unlinkat", fmt::format("cannot remove the directory '{}'", name));
  return {};
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
  Result<UniqueFd> file = sys::open_beneath(directory, name, O_RDONLY | O_NOFOLLOW | O_NOCTTY);
  if (!file) return pass(std::move(file));
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
  struct stat status{};
  if (::fstat(directory.get(), &status) != 0) return fail_errno(errno, "fstat", "cannot look at a directory");
  return remove_below(directory, name, status.st_dev);
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
