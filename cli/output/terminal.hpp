// What stands behind standard output and standard error, and text that is safe to send there.
#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::cli {

enum class Colour : unsigned char { none, green, yellow, red, faint };

/// How to print to one stream.
struct Terminal {
  bool colour = false;                      ///< the stream is a terminal, NO_COLOR is unset and TERM is not "dumb"
  bool progress = false;                    ///< the stream is a terminal: somebody is waiting in front of it
  std::optional<std::size_t> columns = {};  ///< its width; nothing: not a terminal, print in full

  /// Looks at `stream` and the environment. Source: no-color.org; ioctl_tty(2), TIOCGWINSZ.
  static Terminal of(std::FILE* stream);
  /// `text` in `colour`, where colours are shown.
  [[nodiscard]] std::string paint(std::string_view text, Colour value) const;
};

/// Text of several lines with each line escaped (logs::escape_for_terminal): what containers, images and files say may
/// hold anything.
std::string escape_lines(std::string_view text);
/// Text that belongs on one line.
std::string escape_line(std::string_view text);
/// Columns that an escaped text takes: one a code point.
std::size_t columns_of(std::string_view text);
/// The first `columns` columns, the last being `…` if something was cut. @pre columns > 0
std::string cut(std::string_view text, std::size_t columns);

}  // namespace orlop::cli
