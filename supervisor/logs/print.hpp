// How a log line reads: as JSON (the names of Docker's json-file) and on a terminal. Container output is hostile:
// neither form lets a byte through that a terminal acts on (T37).
#pragma once

#include <string>
#include <string_view>

#include "supervisor/logs/reader.hpp"

namespace orlop::logs {

/// `bytes` with everything a terminal or a reader's eye could be fooled by written as `\xNN` or `\u{NNNN}`: control
/// characters but tab, bytes that are not UTF-8, C1 controls, and marks that reorder or hide text (bidirectional
/// controls, zero-width characters, line and paragraph separators).
std::string escape_for_terminal(std::string_view bytes);

/// One JSON object and a newline: `time`, `stream`, `log`, `start`; for a gap `dropped_bytes` too. ASCII only; bytes
/// that are not UTF-8 become U+FFFD, as Docker does.
std::string json_line(const Line& line);

/// The line for people, ended by one newline; a gap says how many bytes are missing. `with_time` puts the time in
/// front.
std::string text_line(const Line& line, bool with_time);

}  // namespace orlop::logs
