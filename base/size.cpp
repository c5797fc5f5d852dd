#include "base/size.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/number.hpp"

namespace orlop {
namespace {

constexpr std::array<Unit, 7> units = {Unit{"B", 1},        {"K", 1ULL << 10}, {"KiB", 1ULL << 10}, {"M", 1ULL << 20},
                                       {"MiB", 1ULL << 20}, {"G", 1ULL << 30}, {"GiB", 1ULL << 30}};
constexpr std::uint64_t max_size = 1ULL << 62;

__extension__ using Wide = unsigned __int128;  // a 19-digit number times the largest factor fits

constexpr bool digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::optional<std::uint64_t> parse_with_unit(std::string_view written, std::span<const Unit> known, std::uint64_t max) {
  std::size_t whole_digits = 0;
  while (whole_digits < written.size() && digit(written[whole_digits])) ++whole_digits;
  std::size_t end = whole_digits;
  std::size_t fraction_digits = 0;
  if (end < written.size() && written[end] == '.') {
    ++end;
    while (end < written.size() && digit(written[end])) ++end, ++fraction_digits;
    if (fraction_digits == 0 || fraction_digits > 9) return std::nullopt;
  }
  if (whole_digits == 0 || whole_digits > 19) return std::nullopt;
  for (const Unit& unit : known) {
    if (written.substr(end) != unit.name) continue;
    std::uint64_t whole = 0;
    std::uint64_t fraction = 0;
    const char* start = written.data();
    if (std::from_chars(start, start + whole_digits, whole).ec != std::errc{}) return std::nullopt;
    Wide scaled = static_cast<Wide>(whole) * unit.factor;
    if (fraction_digits > 0) {
      std::from_chars(start + whole_digits + 1, start + end, fraction);
      Wide part = static_cast<Wide>(fraction) * unit.factor;
      for (std::size_t i = 0; i < fraction_digits; ++i) {
        if (part % 10 != 0) return std::nullopt;
        part /= 10;
      }
      scaled += part;
    }
    if (scaled > max) return std::nullopt;
    return static_cast<std::uint64_t>(scaled);
  }
  return std::nullopt;
}

Result<Bytes> parse_bytes(std::string_view written) {
  if (const auto count = parse_with_unit(written, units, max_size)) return Bytes{*count};
  return fail(ErrorKind::config, fmt::format("'{}' is not a size", written),
              "write a whole number of bytes with its unit: B, KiB, MiB or GiB, such as \"512MiB\"");
}

std::string format_bytes(Bytes bytes) {
  for (std::size_t i = units.size(); i-- > 0;) {
    if (i % 2 == 1) continue;  // the short spellings are read, never written
    const Unit& unit = units.at(i);
    if (bytes.count != 0 && bytes.count % unit.factor == 0)
      return fmt::format("{}{}", bytes.count / unit.factor, unit.name);
  }
  return fmt::format("{}B", bytes.count);
}

}  // namespace orlop
