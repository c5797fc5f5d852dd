#include "supervisor/logs/print.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace orlop::logs {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;
};

// The well-formed UTF-8 sequence that `bytes` begins with (RFC 3629: no surrogate, no overlong form, at most U+10FFFF).
std::optional<CodePoint> decode(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return CodePoint{lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return std::nullopt;
  char32_t value = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return std::nullopt;
    value = (value << 6) | (at(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  if (overlong || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return std::nullopt;
  return CodePoint{value, length};
}

// Unicode's C1 controls, its format characters that reorder or hide text, and its line and paragraph separators.
bool deceives(char32_t value) {
  return (value >= 0x80 && value <= 0x9f) || value == 0xad || value == 0x61c || value == 0x180e ||
         (value >= 0x200b && value <= 0x200f) || (value >= 0x2028 && value <= 0x202e) ||
         (value >= 0x2060 && value <= 0x206f) || value == 0xfeff || (value >= 0xfff9 && value <= 0xfffb) ||
         (value >= 0xe0000 && value <= 0xe007f);
}

}  // namespace

std::string escape_for_terminal(std::string_view bytes) {
  std::string escaped;
  escaped.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::optional<CodePoint> point = decode(bytes);
    const std::size_t length = point ? point->bytes : 1;
    if (!point || (point->value < 0x20 && point->value != '\t') || point->value == 0x7f)
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
    else if (deceives(point->value))
      escaped += fmt::format("\\u{{{:04x}}}", static_cast<std::uint32_t>(point->value));
    else
      escaped += bytes.substr(0, length);
    bytes.remove_prefix(length);
  }
  return escaped;
}

std::string json_line(const Line& line) {
  nlohmann::ordered_json json = {
      {"time", rfc3339(line.time)}, {"stream", to_string(line.stream)}, {"log", line.log}, {"start", line.start}};
  if (line.dropped_bytes != 0) json["dropped_bytes"] = line.dropped_bytes;
  return json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + '\n';
}

std::string text_line(const Line& line, bool with_time) {
  std::string text = with_time ? rfc3339(line.time) + ' ' : std::string();
  if (line.dropped_bytes != 0)
    return text +
           fmt::format("[orlop: {} bytes of {} were dropped here]\n", line.dropped_bytes, to_string(line.stream));
  std::string_view log = line.log;
  if (log.ends_with('\n')) log.remove_suffix(1);
  if (log.ends_with('\r')) log.remove_suffix(1);  // what a terminal would have swallowed
  return text + escape_for_terminal(log) + '\n';
}

}  // namespace orlop::logs
