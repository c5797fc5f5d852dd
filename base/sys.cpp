#include "base/sys.hpp"

#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace orlop::sys {
namespace {

Result<UniqueFd> openat2(BorrowedFd directory, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
  ::open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    const long fd = ::syscall(SYS_openat2, directory.get(), path.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || (errno == EAGAIN && tries < 100)) continue;  // EAGAIN: a rename raced with the resolution
    return fail_errno(errno, "openat2", fmt::format("cannot open '{}'", path));
  }
}

}  // namespace

Result<UniqueFd> open_beneath(BorrowedFd directory, const std::string& path, int flags, mode_t mode) {
  return openat2(directory, path, flags, mode, RESOLVE_BENEATH);
}

Result<UniqueFd> open_without_links(BorrowedFd directory, const std::string& path, int flags, mode_t mode) {
  return openat2(directory, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

Result<UniqueFd> open_in_root(BorrowedFd directory, const std::string& path, int flags, mode_t mode) {
  return openat2(directory, path, flags, mode, RESOLVE_IN_ROOT);
}

Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return fail_errno(errno, "open", fmt::format("cannot open '{}'", path));
  return UniqueFd(fd);
}

Result<UniqueFd> duplicate(BorrowedFd fd) {
  const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_errno(errno, "fcntl(F_DUPFD_CLOEXEC)", "cannot duplicate a file descriptor");
  return UniqueFd(copy);
}

Result<Pipe> pipe(int flags) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), flags | O_CLOEXEC) != 0) return fail_errno(errno, "pipe2", "cannot make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<std::pair<UniqueFd, UniqueFd>> socketpair(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno(errno, "socketpair", "cannot make a socket pair");
  return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> memfd(const char* name) {
  const int fd = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fail_errno(errno, "memfd_create", fmt::format("cannot make the memory file '{}'", name));
  return UniqueFd(fd);
}

Result<UniqueFd> pidfd_open(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return fail_errno(errno, "pidfd_open", fmt::format("cannot open process {}", pid));
  return UniqueFd(static_cast<int>(fd));
}

Result<void> pidfd_send_signal(BorrowedFd pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) != 0)
    return fail_errno(errno, "pidfd_send_signal", fmt::format("cannot send signal {}", signal));
  return {};
}

Result<void> setns(BorrowedFd ns, int type) {
  if (::setns(ns.get(), type) != 0) return fail_errno(errno, "setns", "cannot enter a namespace");
  return {};
}

Result<UniqueFd> new_mount(const char* type, std::span<const FsOption> options, std::uint64_t attributes) {
  const UniqueFd context(::fsopen(type, FSOPEN_CLOEXEC));
  if (!context) return fail_errno(errno, "fsopen", fmt::format("this kernel has no file system '{}'", type));
  for (const FsOption& option : options) {
    const bool flag = option.value.empty();
    if (::fsconfig(context.get(), flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, option.key.c_str(),
                   flag ? nullptr : option.value.c_str(), 0) != 0)
      return fail_errno(errno, "fsconfig", fmt::format("cannot set {}={} of a new {}", option.key, option.value, type));
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return fail_errno(errno, "fsconfig(CMD_CREATE)", fmt::format("cannot create a new {}", type));
  const int mount = ::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
  if (mount < 0) return fail_errno(errno, "fsmount", fmt::format("cannot mount a new {}", type));
  return UniqueFd(mount);
}

Result<UniqueFd> clone_mount(BorrowedFd directory, const char* path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  const int tree = ::open_tree(directory.get(), path, flags);
  if (tree < 0) return fail_errno(errno, "open_tree", fmt::format("cannot clone the mount at '{}'", path));
  return UniqueFd(tree);
}

Result<void> attach_mount(BorrowedFd mount, BorrowedFd directory, const char* path) {
  const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*path == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0U);
  if (::move_mount(mount.get(), "", directory.get(), path, flags) != 0)
    return fail_errno(errno, "move_mount", fmt::format("cannot attach a mount at '{}'", path));
  return {};
}

Result<void> set_mount_attributes(BorrowedFd mount, std::uint64_t set, std::uint64_t clear, bool recursive,
                                  std::optional<int> userns, std::uint64_t propagation) {
  ::mount_attr attributes{};
  attributes.attr_set = set | (userns ? MOUNT_ATTR_IDMAP : 0U);
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  attributes.userns_fd = userns ? static_cast<std::uint64_t>(*userns) : 0U;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  if (::mount_setattr(mount.get(), "", flags, &attributes, sizeof attributes) != 0)
    return fail_errno(errno, userns ? "mount_setattr(MOUNT_ATTR_IDMAP)" : "mount_setattr",
                      "cannot set the attributes of a mount");
  return {};
}

}  // namespace orlop::sys
