// Collects what is wrong with one file, so that the operator sees all of it at once and in the file's order.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace orlop::config {

/// Line and column from 1; columns in bytes.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

/// `text` as a TOML basic string: quoted, in ASCII, everything else escaped, so that a homoglyph, a control character
/// or a change of writing direction shows. Reads back as the same text.
std::string quoted(std::string_view text);
/// quoted(), cut to what fits an error message.
std::string excerpt(std::string_view text);

/// The one of `known` that `written` most likely means: the smallest edit distance, if it is at most a third of the
/// word's length (and at least 2 is tolerated). Empty: none is near.
std::string_view nearest(std::string_view written, std::span<const std::string_view> known);
/// `a, b or c`.
std::string alternatives(std::span<const std::string_view> words);

/// Errors that are told of one file; further ones are counted only, so that a hostile file cannot cost hours of
/// spelling hints.
inline constexpr std::size_t max_errors = 256;

class Diagnostics {
 public:
  explicit Diagnostics(std::string file) : file_(std::move(file)) {}

  /// Notes that what stands at `at` for `key` is wrong. `fact` holds the offending text; `allowed` what may stand
  /// there.
  void refuse(Position at, std::string key, std::string fact, std::string allowed);
  /// The same, at a place that was noted before.
  void refuse(Place place, std::string fact, std::string allowed, ErrorKind kind = ErrorKind::config);
  /// Whether more errors would be left out: no need to look for a hint.
  [[nodiscard]] bool full() const { return errors_.size() >= max_errors; }
  /// Whether anything at or below the dotted `key` was refused: what depends on it need not be judged.
  [[nodiscard]] bool refused(std::string_view key) const;
  [[nodiscard]] Place place(Position at, std::string key) const { return {file_, at.line, at.column, std::move(key)}; }
  [[nodiscard]] bool empty() const { return errors_.empty(); }
  /// All errors in the order of the file.
  [[nodiscard]] std::vector<Error> take() &&;

 private:
  std::string file_;
  std::multimap<std::pair<std::uint32_t, std::uint32_t>, Error> errors_;  ///< by line and column
  std::set<std::string, std::less<>> refused_;                            ///< their keys
  std::size_t left_out_ = 0;
};

}  // namespace orlop::config
