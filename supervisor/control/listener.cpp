// make_listener(): the socket's birth.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "supervisor/control/server.hpp"
#include "supervisor/control/socket_address.hpp"

namespace orlop::control {
namespace {

Result<UniqueFd> new_socket() {
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "socket", "cannot make the control socket");
  return socket;
}

// Whether `name` may be replaced: nothing is there, or a socket that nobody listens on.
Result<void> check_replaceable(BorrowedFd directory, const std::string& name, const sockaddr_un& address) {
  struct stat status{};
  if (::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return {};
    return fail_errno(errno, "fstatat", fmt::format("cannot look at '{}'", name));
  }
  if (!S_ISSOCK(status.st_mode))
    return fail(ErrorKind::conflict, fmt::format("'{}' is there and is no socket", name), "move it away");
  const Result<UniqueFd> probe = new_socket();
  if (!probe) return std::unexpected(probe.error());
  if (::connect(probe->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 && errno == ECONNREFUSED)
    return {};
  return fail(ErrorKind::conflict, fmt::format("someone listens on '{}' already", name),
              "stop the other supervisor, or use another --root");
}

}  // namespace

Result<UniqueFd> make_listener(BorrowedFd directory, const std::string& name, std::optional<gid_t> readers) {
  const Result<sockaddr_un> final_address = socket_address(directory, name);
  if (!final_address) return std::unexpected(final_address.error());
  Result<void> replaceable = check_replaceable(directory, name, *final_address);
  if (!replaceable) return fail(std::move(replaceable), "cannot make the control socket");

  const std::string temporary = "." + name + ".new";
  const Result<sockaddr_un> address = socket_address(directory, temporary);
  if (!address) return std::unexpected(address.error());
  Result<UniqueFd> socket = new_socket();
  if (!socket) return socket;
  if (Result<void> removed = remove_tree(directory, temporary); !removed)
    return fail(std::move(removed), "cannot make the control socket");
  // The mode of a socket's file comes from the socket's own at bind(), less the umask (unix(7)): closed from birth.
  if (::fchmod(socket->get(), 0600) < 0 ||
      ::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0)
    return fail_errno(errno, "bind", "cannot make the control socket");
  const auto give_up = [&](const char* call) {
    const int errno_value = errno;
    (void)::unlinkat(directory.get(), temporary.c_str(), 0);  // the failure to tell is the first
    return fail_errno(errno_value, call, "cannot make the control socket");
  };
  if (readers &&
      ::fchownat(directory.get(), temporary.c_str(), static_cast<uid_t>(-1), *readers, AT_SYMLINK_NOFOLLOW) < 0)
    return give_up("fchownat");
  if (readers && ::fchmodat(directory.get(), temporary.c_str(), 0660, 0) < 0) return give_up("fchmodat");
  if (::listen(socket->get(), SOMAXCONN) < 0) return give_up("listen");
  if (::renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) < 0) return give_up("renameat");
  return socket;
}

}  // namespace orlop::control
