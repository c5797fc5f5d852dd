#include "supervisor/control/interface.hpp"

#include <systemd/sd-bus.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>

namespace orlop::control {
namespace {

constexpr std::string_view error_prefix = "org.orlop.Error.";

constexpr std::array error_names = {
    "org.orlop.Error.Config",   "org.orlop.Error.Kernel",      "org.orlop.Error.Denied",
    "org.orlop.Error.NotFound", "org.orlop.Error.Conflict",    "org.orlop.Error.Limit",
    "org.orlop.Error.Corrupt",  "org.orlop.Error.Unsupported", "org.orlop.Error.Internal"};
static_assert(error_names.size() == static_cast<std::size_t>(ErrorKind::internal) + 1);

}  // namespace

std::string_view to_string(Role role) {
  return role == Role::admin ? "admin" : "reader";
}

std::string error_name(ErrorKind kind) {
  return error_names.at(static_cast<std::size_t>(kind));
}

Error from_bus(std::string_view name, std::string_view message) {
  Error error{.kind = ErrorKind::internal, .chain = {std::string(message)}};
  if (name.starts_with(error_prefix)) {
    for (std::size_t kind = 0; kind < error_names.size(); ++kind)
      if (name == error_names.at(kind)) error.kind = static_cast<ErrorKind>(kind);
  } else if (name == SD_BUS_ERROR_UNKNOWN_OBJECT) {
    error.kind = ErrorKind::not_found;
  } else if (name == SD_BUS_ERROR_UNKNOWN_METHOD || name == SD_BUS_ERROR_UNKNOWN_INTERFACE) {
    error.kind = ErrorKind::unsupported;
    error.remedy = "the supervisor and this client are of different versions";
  } else if (name == SD_BUS_ERROR_NO_REPLY || name == SD_BUS_ERROR_TIMEOUT) {
    error.kind = ErrorKind::kernel;
    error.errno_value = ETIMEDOUT;
  } else {
    error.chain.insert(error.chain.begin(), std::string(name));
  }
  return error;
}

std::string container_path(std::string_view name) {
  char* path = nullptr;
  if (sd_bus_path_encode(containers_path, std::string(name).c_str(), &path) < 0) throw std::bad_alloc();
  const std::unique_ptr<char, decltype(&std::free)> owned(path, &std::free);
  return path;
}

}  // namespace orlop::control
