#include "supervisor/control/socket_address.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cstring>

namespace orlop::control {

Result<sockaddr_un> socket_address(BorrowedFd directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory.get(), name);
  if (path.size() >= sizeof address.sun_path) return fail(ErrorKind::config, "the control socket's name is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace orlop::control
