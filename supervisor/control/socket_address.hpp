// Addresses of sockets in the file system, however long the path to them is.
#pragma once

#include <sys/un.h>

#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::control {

/// The address of `name` below `directory`, by way of /proc/self/fd: valid in this process while `directory` is open.
/// config/… when the name alone is too long for one.
Result<sockaddr_un> socket_address(BorrowedFd directory, const std::string& name);

}  // namespace orlop::control
