// TOML text as a tree of values with their places. The only door to the TOML library; what comes out is bounded in
// size and depth, is UTF-8 and holds no NUL.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/diagnostics.hpp"

namespace orlop::config {

/// The largest host file that is read.
inline constexpr std::size_t max_file_bytes = 1U << 20;

struct Entry;

struct Value {
  enum class Kind : std::uint8_t { text, integer, real, boolean, time, array, table };
  Kind kind = Kind::table;
  Position at = {};
  std::string text = {};
  std::int64_t integer = 0;
  double real = 0;
  bool boolean = false;
  std::vector<Value> array;
  std::vector<Entry> table;
};

struct Entry {
  std::string key;
  Position at;
  Value value;
};

/// The value as an error message shows it: scalars as they are, the rest by its kind.
std::string describe(const Value& value);

/// Reads TOML 1.0.
///
/// @return the root table, or the one error that ends the reading: syntax, a key given twice, NUL, a byte order mark,
///         more than max_file_bytes, nesting too deep
std::expected<Value, Error> read_document(std::string_view text, const std::string& file_name);

}  // namespace orlop::config
