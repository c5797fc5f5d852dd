// Reading a call's arguments from its message, one after the other. sd-bus has checked the signature; these check the
// form. What they refuse is the caller's mistake (config/…).
#pragma once

#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::control {

/// The name of a volume, by the pattern of is_valid_name().
Result<std::string> read_volume(sd_bus_message* message);
/// 1 to `max_bytes` printable ASCII characters without a space: what the service parses, fit for records and messages.
Result<std::string> read_word(sd_bus_message* message, std::string_view what, std::size_t max_bytes);
/// A path: 1 to 4095 bytes of UTF-8 without control characters.
Result<std::string> read_path(sd_bus_message* message);
/// An array of them.
Result<std::vector<std::string>> read_paths(sd_bus_message* message);
Result<bool> read_bool(sd_bus_message* message);
/// A descriptor, the caller's own to keep.
Result<UniqueFd> read_fd(sd_bus_message* message);
/// Refuses `fd` if it is not of the file type `type` (S_IFREG, S_IFDIR, S_IFIFO); `what` names it.
Result<void> require_type(BorrowedFd fd, mode_t type, std::string_view what);
/// The write end of a pipe, made non-blocking: its other end is the client's, who may never read.
Result<UniqueFd> read_pipe(sd_bus_message* message, std::string_view what);
/// An a{sv}: `take` reads the value of the key it is given and returns true, or false for a key that it does not know.
Result<void> read_options(sd_bus_message* message, const std::function<Result<bool>(const std::string& key)>& take);

}  // namespace orlop::control
