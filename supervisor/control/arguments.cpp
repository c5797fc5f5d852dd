#include "supervisor/control/arguments.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/limits.h>

#include <algorithm>
#include <cerrno>

#include "base/name.hpp"
#include "base/sys.hpp"

namespace orlop::control {
namespace {

std::unexpected<Error> unreadable(int negative_errno) {
  if (negative_errno == -ENOMEM) return fail_errno(ENOMEM, "sd-bus", "cannot read the arguments of the call");
  return fail(ErrorKind::config, "an argument of the call is missing or of another type");
}

Result<std::string> read_string(sd_bus_message* message) {
  const char* string = nullptr;
  if (const int r = sd_bus_message_read_basic(message, 's', &string); r <= 0) return unreadable(r);
  return std::string(string);
}

bool is_path(std::string_view text) {
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  return !text.empty() && text.size() < PATH_MAX && std::ranges::none_of(text, is_control);
}

Result<std::string> checked_path(std::string text) {
  if (is_path(text)) return text;
  return fail(ErrorKind::config, "this is no path: 1 to 4095 bytes without control characters");
}

}  // namespace

Result<std::string> read_volume(sd_bus_message* message) {
  Result<std::string> name = read_string(message);
  if (name && !is_valid_name(*name))
    return fail(ErrorKind::config, "this is no name of a volume", fmt::format("a name is {}", name_rule));
  return name;
}

Result<std::string> read_word(sd_bus_message* message, std::string_view what, std::size_t max_bytes) {
  Result<std::string> word = read_string(message);
  if (!word) return word;
  const bool printable = std::ranges::all_of(*word, [](char c) { return c > ' ' && c <= '~'; });
  if (word->empty() || word->size() > max_bytes || !printable)
    return fail(ErrorKind::config, fmt::format("this is no {}: 1 to {} printable characters", what, max_bytes));
  return word;
}

Result<std::string> read_path(sd_bus_message* message) {
  Result<std::string> path = read_string(message);
  return path ? checked_path(std::move(*path)) : path;
}

Result<std::vector<std::string>> read_paths(sd_bus_message* message) {
  std::vector<std::string> paths;
  int r = sd_bus_message_enter_container(message, 'a', "s");
  const char* text = nullptr;
  while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &text)) > 0) {
    Result<std::string> path = checked_path(text);
    if (!path) return pass(std::move(path));
    paths.push_back(std::move(*path));
  }
  if (r >= 0) r = sd_bus_message_exit_container(message);
  if (r < 0) return unreadable(r);
  return paths;
}

Result<bool> read_bool(sd_bus_message* message) {
  int value = 0;
  if (const int r = sd_bus_message_read_basic(message, 'b', &value); r <= 0) return unreadable(r);
  return value != 0;
}

Result<UniqueFd> read_fd(sd_bus_message* message) {
  int fd = -1;
  if (const int r = sd_bus_message_read_basic(message, 'h', &fd); r <= 0) return unreadable(r);
  return sys::duplicate(BorrowedFd(fd));  // the message closes its own
}

Result<void> require_type(BorrowedFd fd, mode_t type, std::string_view what) {
  struct stat status{};
  if (::fstat(fd.get(), &status) < 0) return fail_errno(errno, "fstat", fmt::format("cannot look at {}", what));
  if ((status.st_mode & S_IFMT) == type) return {};
  const std::string_view wanted = type == S_IFDIR ? "a directory" : type == S_IFIFO ? "a pipe" : "a regular file";
  return fail(ErrorKind::config, fmt::format("{} is not {}", what, wanted));
}

Result<UniqueFd> read_pipe(sd_bus_message* message, std::string_view what) {
  Result<UniqueFd> pipe = read_fd(message);
  if (!pipe) return pipe;
  if (Result<void> right = require_type(*pipe, S_IFIFO, what); !right) return pass(std::move(right));
  const int flags = ::fcntl(pipe->get(), F_GETFL);
  if (flags < 0 || ::fcntl(pipe->get(), F_SETFL, flags | O_NONBLOCK) < 0)
    return fail_errno(errno, "fcntl", fmt::format("cannot make {} non-blocking", what));
  return pipe;
}

Result<void> read_options(sd_bus_message* message, const std::function<Result<bool>(const std::string& key)>& take) {
  int r = sd_bus_message_enter_container(message, 'a', "{sv}");
  while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
    const Result<std::string> key = read_string(message);
    if (!key) return std::unexpected(key.error());
    const char* contents = nullptr;
    r = sd_bus_message_peek_type(message, nullptr, &contents);
    if (r >= 0) r = sd_bus_message_enter_container(message, 'v', contents);
    if (r < 0) break;
    const Result<bool> taken = take(*key);
    if (!taken) return fail(taken.error(), fmt::format("option '{}'", *key));
    if (!*taken) return fail(ErrorKind::config, fmt::format("there is no option '{}'", *key));
    r = sd_bus_message_exit_container(message);
    if (r >= 0) r = sd_bus_message_exit_container(message);
  }
  if (r >= 0) r = sd_bus_message_exit_container(message);
  if (r < 0) return unreadable(r);
  return {};
}

}  // namespace orlop::control
