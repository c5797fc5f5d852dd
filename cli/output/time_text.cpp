#include "cli/output/time_text.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace orlop::cli {

std::string age(WallTime moment, WallTime now) {
  constexpr std::array<std::pair<std::int64_t, const char*>, 3> units = {{{86400, "d"}, {3600, "h"}, {60, "min"}}};
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now - moment).count();
  if (seconds <= 0) return "0s";
  for (const auto& [length, name] : units)
    if (seconds >= length) return fmt::format("{}{}", seconds / length, name);
  return fmt::format("{}s", seconds);
}

std::string age(std::string_view written, WallTime now) {
  const Result<WallTime> moment = parse_rfc3339(written);
  return moment ? age(*moment, now) : "-";
}

Result<WallTime> parse_since(std::string_view written, WallTime now) {
  if (const Result<WallTime> moment = parse_rfc3339(written)) return *moment;
  if (const Result<Duration> back = parse_duration(written)) return now - *back;
  return fail(ErrorKind::config, fmt::format("--since '{}' is neither a time nor a duration", written),
              "write a time such as 2026-01-31T23:59:59Z, or how long ago, such as 10min");
}

}  // namespace orlop::cli
