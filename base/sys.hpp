// The one home of system calls: a thin wrapper each, errno turned into Error at once, every descriptor O_CLOEXEC from
// birth. Constants that Debian 12's headers lack are defined here and nowhere else.
#pragma once

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::sys {

// --- files (open(2), openat2(2)) ---

/// openat2 beneath `directory`: never leaves it, follows no magic link. `flags` gets O_CLOEXEC added. `what` names the
/// path for the operator. Source: openat2(2), RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS.
Result<UniqueFd> open_beneath(BorrowedFd directory, const std::string& path, int flags, mode_t mode = 0);
/// open_beneath that follows no link at all: a symbolic link in any component is kernel/ELOOP. Source: openat2(2),
/// RESOLVE_NO_SYMLINKS.
Result<UniqueFd> open_without_links(BorrowedFd directory, const std::string& path, int flags, mode_t mode = 0);
/// openat2 with `directory` as the root: absolute links resolve inside it. Source: openat2(2), RESOLVE_IN_ROOT.
Result<UniqueFd> open_in_root(BorrowedFd directory, const std::string& path, int flags, mode_t mode = 0);
/// open(2) of a path of the host or of /proc that orlop itself names.
Result<UniqueFd> open(const std::string& path, int flags, mode_t mode = 0);
/// A second descriptor of the same open file description. Source: fcntl(2), F_DUPFD_CLOEXEC.
Result<UniqueFd> duplicate(BorrowedFd fd);

// --- pipes, sockets, memory ---

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};
/// pipe2 with O_CLOEXEC and `flags`.
Result<Pipe> pipe(int flags = 0);
/// A connected pair of AF_UNIX sockets of `type` (SOCK_SEQPACKET, SOCK_STREAM), close-on-exec.
Result<std::pair<UniqueFd, UniqueFd>> socketpair(int type);
/// memfd_create with MFD_CLOEXEC, sealable.
Result<UniqueFd> memfd(const char* name);

// --- processes (clone3, pidfd_open(2), waitid(2)) ---

/// pidfd_open(2).
Result<UniqueFd> pidfd_open(pid_t pid);
/// pidfd_send_signal(2). kernel/ESRCH when the process is gone.
Result<void> pidfd_send_signal(BorrowedFd pidfd, int signal);
/// setns(2) of the calling thread.
Result<void> setns(BorrowedFd ns, int type);

// --- mounts (fsopen(2), open_tree(2), move_mount(2), mount_setattr(2)) ---

/// A detached mount of a new `type` file system, with string options set one by one (never one comma string), then
/// MOUNT_ATTR_* `attributes`. Source: Documentation/filesystems/mount_api.rst.
struct FsOption {
  std::string key;
  std::string value;  ///< empty: a flag
};
Result<UniqueFd> new_mount(const char* type, std::span<const FsOption> options, std::uint64_t attributes);
/// A detached copy of the mount at `path` below `directory` (OPEN_TREE_CLONE); with `recursive` of the mounts on it
/// too.
Result<UniqueFd> clone_mount(BorrowedFd directory, const char* path, bool recursive);
/// Attaches the detached `mount` at `path` below `directory`; an empty path means `directory` itself.
Result<void> attach_mount(BorrowedFd mount, BorrowedFd directory, const char* path);
/// mount_setattr on a mount fd: sets and clears MOUNT_ATTR_*; `userns` (or -1) is for MOUNT_ATTR_IDMAP;
/// `propagation` is 0 or MS_PRIVATE, MS_SLAVE, …
Result<void> set_mount_attributes(BorrowedFd mount, std::uint64_t set, std::uint64_t clear, bool recursive,
                                  std::optional<int> userns = std::nullopt, std::uint64_t propagation = 0);

}  // namespace orlop::sys

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
