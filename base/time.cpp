#include "base/time.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <time.h>

#include <array>
#include <cstdio>

#include "base/number.hpp"

namespace orlop {
namespace {

constexpr std::array<Unit, 5> units = {Unit{"ms", 1'000'000ULL},
                                       {"s", 1'000'000'000ULL},
                                       {"min", 60'000'000'000ULL},
                                       {"h", 3'600'000'000'000ULL},
                                       {"d", 86'400'000'000'000ULL}};
constexpr std::uint64_t max_duration = 36'525ULL * 86'400'000'000'000ULL;

Duration read_clock(clockid_t clock) noexcept {
  timespec now{};
  (void)::clock_gettime(clock, &now);  // cannot fail for the two clocks used here
  return std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec);
}

}  // namespace

BootClock::time_point BootClock::now() noexcept {
  return time_point(read_clock(CLOCK_BOOTTIME));
}

WallTime wall_now() noexcept {
  return WallTime(read_clock(CLOCK_REALTIME));
}

WallTime to_wall(BootTime moment) noexcept {
  return wall_now() + (moment - BootClock::now());
}

std::string rfc3339(WallTime moment) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(moment.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(micros);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (micros - seconds).count());
}

Result<WallTime> parse_rfc3339(std::string_view written) {
  const auto refuse = [&] {
    return fail(ErrorKind::config, fmt::format("'{}' is not a time", written), "write it as 2026-01-31T23:59:59Z");
  };
  if (written.size() < 20 || written.back() != 'Z') return refuse();
  std::tm parts{};
  const std::string head(written.substr(0, 19));
  const char* end = ::strptime(head.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr || *end != '\0') return refuse();
  std::uint64_t nanoseconds = 0;
  if (written.size() > 20) {
    const std::array<Unit, 1> second = {Unit{"Z", 1'000'000'000ULL}};
    const auto fraction = parse_with_unit("0" + std::string(written.substr(19)), second, 999'999'999ULL);
    if (!fraction) return refuse();
    nanoseconds = *fraction;
  }
  return WallTime(std::chrono::seconds(::timegm(&parts)) + Duration(nanoseconds));
}

Result<Duration> parse_duration(std::string_view written) {
  if (const auto count = parse_with_unit(written, units, max_duration))
    return Duration(static_cast<Duration::rep>(*count));
  return fail(ErrorKind::config, fmt::format("'{}' is not a duration", written),
              "write a number with its unit: ms, s, min, h or d, such as \"10s\"");
}

std::string format_duration(Duration duration) {
  const auto count = static_cast<std::uint64_t>(duration.count());
  for (std::size_t i = units.size(); i-- > 1;)
    if (count != 0 && count % units.at(i).factor == 0)
      return fmt::format("{}{}", count / units.at(i).factor, units.at(i).name);
  if (count == 0) return "0s";
  return fmt::format("{}ms", static_cast<double>(count) / 1e6);
}

}  // namespace orlop
