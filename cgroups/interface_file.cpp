#include "cgroups/interface_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "base/sys.hpp"

namespace orlop::cgroups {

Result<void> write_interface_file(BorrowedFd directory, const std::string& path, std::string_view value) {
  Result<UniqueFd> file = sys::open_beneath(directory, path, O_WRONLY | O_NOFOLLOW);
  if (!file) return pass(std::move(file));
  ssize_t written = 0;
  do {
    written = ::write(file->get(), value.data(), value.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return fail_errno(errno, "write", fmt::format("cannot write '{}' into '{}'", value, path));
  return {};  // kernfs takes a write whole or refuses it
}

Result<std::string> reread_interface_file(BorrowedFd file) {
  std::array<char, 4096> buffer;
  ssize_t count = 0;
  do {
    count = ::pread(file.get(), buffer.data(), buffer.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return fail_errno(errno, "pread", "cannot read a file of a cgroup");
  std::string text(buffer.data(), static_cast<std::size_t>(count));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<std::string> read_interface_file(BorrowedFd directory, const std::string& path) {
  Result<UniqueFd> file = sys::open_beneath(directory, path, O_RDONLY | O_NOFOLLOW);
  if (!file) return pass(std::move(file));
  Result<std::string> text = reread_interface_file(*file);
  if (!text) return fail(std::move(text), fmt::format("cannot read '{}'", path));
  return text;
}

Result<std::uint64_t> read_number(BorrowedFd directory, const std::string& path) {
  Result<std::string> text = read_interface_file(directory, path);
  if (!text) return pass(std::move(text));
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size())
    return fail(ErrorKind::corrupt, fmt::format("'{}' holds '{}', not a number", path, *text));
  return number;
}

std::uint64_t keyed_number(std::string_view text, std::string_view key) {
  std::size_t line = 0;
  while (line < text.size()) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    const std::string_view entry = text.substr(line, end - line);
    if (entry.starts_with(key) && entry.size() > key.size() && entry[key.size()] == ' ') {
      std::uint64_t number = 0;
      (void)std::from_chars(entry.data() + key.size() + 1, entry.data() + entry.size(), number);  // 0 when unreadable
      return number;
    }
    line = end + 1;
  }
  return 0;
}

bool has_word(std::string_view text, std::string_view word) {
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    if (text.substr(start, end - start) == word) return true;
    start = end + 1;
  }
  return false;
}

}  // namespace orlop::cgroups
