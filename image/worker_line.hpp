// What orlop-image says on its standard output: one JSON object a line, the last one `sealed` or `failed`. orlopd reads
// the lines as foreign bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop::image {

/// Bytes of a line at most, without its end.
inline constexpr std::size_t max_worker_line_bytes = 8192;

struct WorkerLine {
  enum class Kind : std::uint8_t { progress, sealed, failed };
  Kind kind = Kind::progress;
  std::string message;                         ///< what is being done; the reference `NAME@sha256:…`; what went wrong
  ErrorKind error_kind = ErrorKind::internal;  ///< of a failure
  std::string remedy;                          ///< of a failure; may be empty

  friend bool operator==(const WorkerLine&, const WorkerLine&) = default;
};

/// The line, with its end.
std::string to_json(const WorkerLine& line);
/// Reads a line of to_json(), without its end. corrupt/… for anything else.
Result<WorkerLine> parse_worker_line(std::string_view line);

}  // namespace orlop::image
