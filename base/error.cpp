#include "base/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace orlop {
namespace {

// mount(2), clone(2), openat2(2): errnos whose words mislead whoever reads them.
std::string remedy_of(int errno_value, std::string_view call) {
  const bool mounting = call.starts_with("move_mount") || call.starts_with("open_tree") || call.starts_with("fsmount");
  if (errno_value == ENOSPC && mounting)
    return "the kernel's limit on mounts is reached, not the disk: see /proc/sys/fs/mount-max";
  if (errno_value == ENOSPC && call == "clone3")
    return "the kernel's limit on namespaces is reached: see /proc/sys/user/";
  if (errno_value == EPERM && call == "clone3")
    return "orlop must be root outside a chroot, and user namespaces must be allowed";
  if (errno_value == EMFILE) return "this process has no file descriptors left: raise its open files limit";
  if (errno_value == ENFILE) return "the host has no file descriptors left: see /proc/sys/fs/file-max";
  return {};
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
  static constexpr std::array<std::string_view, 9> names = {"config", "kernel",  "denied",      "not_found", "conflict",
                                                            "limit",  "corrupt", "unsupported", "internal"};
  return names.at(static_cast<std::size_t>(kind));
}

std::string text(const Place& place) {
  return fmt::format("{}:{}:{}", place.file, place.line, place.column);
}

std::unexpected<Error> fail(ErrorKind kind, std::string fact, std::string remedy) {
  return std::unexpected(Error{.kind = kind, .chain = {std::move(fact)}, .remedy = std::move(remedy)});
}

std::unexpected<Error> fail_errno(int errno_value, std::string_view call, std::string fact) {
  return std::unexpected(Error{.kind = ErrorKind::kernel,
                               .errno_value = errno_value,
                               .call = std::string(call),
                               .chain = {std::move(fact)},
                               .remedy = remedy_of(errno_value, call)});
}

std::unexpected<Error> fail(Error error, std::string doing) {
  error.chain.insert(error.chain.begin(), std::move(doing));
  return std::unexpected(std::move(error));
}

std::string errno_text(int errno_value) {
  const char* name = ::strerrorname_np(errno_value);
  const char* words = ::strerrordesc_np(errno_value);
  if (name == nullptr || words == nullptr) return fmt::format("errno {}", errno_value);
  return fmt::format("{} ({})", words, name);
}

std::string sentence(const Error& error) {
  std::string line = fmt::format("{}", fmt::join(error.chain, ": "));
  if (error.errno_value != 0) line += fmt::format(": {}: {}", error.call, errno_text(error.errno_value));
  return line;
}

std::string text(const Error& error) {
  std::string lines = fmt::format("{}", fmt::join(error.chain, ": "));
  if (error.errno_value != 0) lines += fmt::format("\n  kernel: {}: {}", error.call, errno_text(error.errno_value));
  if (error.place) {
    lines += "\n  config: " + text(*error.place);
    if (!error.place->key.empty()) lines += fmt::format(" ({})", error.place->key);
  }
  if (!error.remedy.empty()) lines += "\n  remedy: " + error.remedy;
  return lines;
}

}  // namespace orlop
