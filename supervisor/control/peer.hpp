// Who is on the other end of a socket, and what that makes of him.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/control/service.hpp"

namespace orlop::control {

/// The peer of a connected AF_UNIX socket and its supplementary groups, as they were when it connected.
struct Identity {
  Peer peer = {};  ///< its role is not decided yet
  std::vector<gid_t> groups = {};
};

/// Asks the kernel. The executable is a hint for the audit record: a process may replace itself after it has connected.
/// Source: unix(7), SO_PEERCRED, SO_PEERGROUPS; SO_PEERPIDFD since Linux 6.5.
Result<Identity> identify(BorrowedFd socket);

/// The role of `identity`, if it has one: admin for the uid `owner`, reader for the members of `readers`.
std::optional<Role> role_of(const Identity& identity, uid_t owner, std::optional<gid_t> readers);

}  // namespace orlop::control
