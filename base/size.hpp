// Sizes in bytes, written with their unit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop {

/// A number of bytes that cannot be mistaken for another number.
struct Bytes {
  std::uint64_t count = 0;
  friend constexpr auto operator<=>(const Bytes&, const Bytes&) = default;
};

constexpr Bytes operator""_KiB(unsigned long long n) {
  return {n << 10};
}
constexpr Bytes operator""_MiB(unsigned long long n) {
  return {n << 20};
}
constexpr Bytes operator""_GiB(unsigned long long n) {
  return {n << 30};
}

/// Reads a size with its unit: B, K or KiB, M or MiB, G or GiB (powers of 1024), a fraction allowed if it comes to
/// whole bytes. A bare number, a sign, and more than 2^62 bytes are refused, never clamped.
Result<Bytes> parse_bytes(std::string_view written);
/// The shortest exact form that parse_bytes reads: `512MiB`, `1536KiB`, `7B`.
std::string format_bytes(Bytes bytes);

}  // namespace orlop
