#include "supervisor/control/peer.hpp"

#include <fmt/format.h>
#include <linux/limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/sys.hpp"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace orlop::control {
namespace {

Result<UniqueFd> peer_pidfd(BorrowedFd socket, pid_t pid) {
  int pidfd = -1;
  socklen_t size = sizeof pidfd;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) return UniqueFd(pidfd);
  return sys::pidfd_open(pid);  // before Linux 6.5: the number may have passed to another process
}

// Read between two moments at which the process behind the pidfd lives, the link is that of the process itself.
std::string executable_of(BorrowedFd socket, pid_t pid) {
  const Result<UniqueFd> pidfd = peer_pidfd(socket, pid);
  if (!pidfd) return {};
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), target.data(), target.size());
  if (length < 0 || !sys::pidfd_send_signal(*pidfd, 0)) return {};
  return {target.data(), static_cast<std::size_t>(length)};
}

}  // namespace

Result<Identity> identify(BorrowedFd socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
    return fail_errno(errno, "getsockopt", "cannot read who connected (SO_PEERCRED)");

  std::vector<gid_t> groups(32);
  for (;;) {
    size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const bool fits = ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    if (!fits && errno != ERANGE)
      return fail_errno(errno, "getsockopt", "cannot read the groups of who connected (SO_PEERGROUPS)");
    groups.resize(size / sizeof(gid_t));  // the kernel gives the size it needs with ERANGE
    if (fits) break;
  }
  return Identity{.peer = {.uid = credentials.uid,
                           .gid = credentials.gid,
                           .pid = credentials.pid,
                           .executable = executable_of(socket, credentials.pid)},
                  .groups = std::move(groups)};
}

std::optional<Role> role_of(const Identity& identity, uid_t owner, std::optional<gid_t> readers) {
  if (identity.peer.uid == owner) return Role::admin;
  if (!readers) return std::nullopt;
  if (identity.peer.gid == *readers || std::ranges::find(identity.groups, *readers) != identity.groups.end())
    return Role::reader;
  return std::nullopt;
}

}  // namespace orlop::control
