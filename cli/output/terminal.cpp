#include "cli/output/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "supervisor/logs/print.hpp"

namespace orlop::cli {

Terminal Terminal::of(std::FILE* stream) {
  const int fd = ::fileno(stream);
  if (::isatty(fd) == 0) return {};
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? std::string_view(value) : std::string_view();
  };
  Terminal terminal{.colour = set("NO_COLOR").empty() && set("TERM") != "dumb", .progress = true};
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) terminal.columns = size.ws_col;
  return terminal;
}

std::string Terminal::paint(std::string_view text, Colour value) const {
  if (!colour || value == Colour::none) return std::string(text);
  const char* code = value == Colour::green ? "32" : value == Colour::yellow ? "33" : value == Colour::red ? "31" : "2";
  return fmt::format("\033[{}m{}\033[0m", code, text);
}

std::string escape_line(std::string_view text) {
  return logs::escape_for_terminal(text);
}

std::string escape_lines(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    escaped += logs::escape_for_terminal(text.substr(0, end));
    if (end == std::string_view::npos) break;
    escaped += '\n';
    text.remove_prefix(end + 1);
  }
  return escaped;
}

namespace {

bool begins_code_point(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80;
}

}  // namespace

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_code_point));
}

std::string cut(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  std::size_t kept = 0;
  for (std::size_t shown = 0; kept < text.size(); ++kept)
    if (begins_code_point(text[kept]) && shown++ == columns - 1) break;
  return std::string(text.substr(0, kept)) + "…";
}

}  // namespace orlop::cli
