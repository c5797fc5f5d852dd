// A decimal number with a unit behind it: the common ground of sizes and durations.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace orlop {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

/// `NUMBER UNIT` as NUMBER × factor, exact, at most `max`; nothing if it is not of that form, not whole or too large.
/// NUMBER is digits with at most one dot and up to 9 digits behind it: no sign, no exponent, no space.
std::optional<std::uint64_t> parse_with_unit(std::string_view written, std::span<const Unit> units, std::uint64_t max);

}  // namespace orlop
