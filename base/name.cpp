#include "base/name.hpp"

#include <algorithm>

namespace orlop {

bool is_valid_name(std::string_view name) {
  const auto letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && letter_or_digit(name.front()) && letter_or_digit(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return letter_or_digit(c) || c == '-'; });
}

}  // namespace orlop
