// Code points of UTF-8 text. Source: RFC 3629.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace orlop::config {

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  ///< in bytes
  bool valid = true;       ///< false: no UTF-8; value is U+FFFD and length 1
};

/// The code point at the front of `text`, which is not empty.
inline CodePoint front_of(std::string_view text) {
  constexpr CodePoint bad{0xFFFD, 1, false};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const std::size_t length = byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : 4;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || length > text.size()) return bad;
  char32_t value = byte(0) & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return bad;
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value < 0xE000;
  return overlong || surrogate || value > 0x10FFFF ? bad : CodePoint{value, length};
}

/// Appends the UTF-8 of a valid code point.
inline void append(std::string& out, char32_t value) {
  const auto put = [&](char32_t bits) { out += static_cast<char>(bits); };
  if (value < 0x80) return put(value);
  if (value < 0x800) {
    put(0xC0U | value >> 6);
  } else if (value < 0x10000) {
    put(0xE0U | value >> 12);
    put(0x80U | (value >> 6 & 0x3FU));
  } else {
    put(0xF0U | value >> 18);
    put(0x80U | (value >> 12 & 0x3FU));
    put(0x80U | (value >> 6 & 0x3FU));
  }
  put(0x80U | (value & 0x3FU));
}

}  // namespace orlop::config
