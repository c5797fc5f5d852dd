// Time inside orlop is CLOCK_BOOTTIME (it goes on during suspend and never jumps); outside it is RFC 3339 in UTC.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop {

using Duration = std::chrono::nanoseconds;

/// CLOCK_BOOTTIME as a std::chrono clock.
struct BootClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};
using BootTime = BootClock::time_point;

/// Nanoseconds since 1970-01-01 UTC, for people and logs only: never for a deadline.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;
WallTime wall_now() noexcept;
/// The wall time that a moment of the boot clock had, by the two clocks' present difference.
WallTime to_wall(BootTime moment) noexcept;
/// `2026-01-31T23:59:59.123456Z`.
std::string rfc3339(WallTime moment);
/// Reads what rfc3339() writes, with 0 to 9 fractional digits. config/… otherwise.
Result<WallTime> parse_rfc3339(std::string_view written);

/// Reads a duration with its unit: ms, s, min, h, d (`10s`, `1.5h`). A bare number is refused; so is a negative one and
/// more than 100 years.
Result<Duration> parse_duration(std::string_view written);
/// The shortest exact form that parse_duration reads: `90s`, `1min`, `250ms`.
std::string format_duration(Duration duration);

}  // namespace orlop
