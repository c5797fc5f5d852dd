#include "base/time.hpp"

#include <catch2/catch.hpp>

using namespace orlop;
using namespace std::chrono_literals;

TEST_CASE("a duration is read with its unit and written in its shortest exact form", "[base]") {
  CHECK(*parse_duration("10s") == 10s);
  CHECK(*parse_duration("5min") == 5min);
  CHECK(*parse_duration("1.5h") == 90min);
  CHECK(*parse_duration("250ms") == 250ms);
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(120s) == "2min");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(0s) == "0s");
}

TEST_CASE("a duration that is bare, signed, unknown or longer than a hundred years is refused", "[base][T63]") {
  for (const char* wrong : {"", "10", "-1s", "10sec", "1e9s", "10 s", "36526d", "NaNs", "1m"})
    CHECK_FALSE(parse_duration(wrong));
}

TEST_CASE("a time is written in RFC 3339 and read back to the microsecond", "[base]") {
  const WallTime moment(1'700'000'000s + 123'456us);
  CHECK(rfc3339(moment) == "2023-11-14T22:13:20.123456Z");
  CHECK(*parse_rfc3339(rfc3339(moment)) == moment);
  CHECK(*parse_rfc3339("2023-11-14T22:13:20Z") == WallTime(1'700'000'000s));
  CHECK_FALSE(parse_rfc3339("2023-11-14 22:13:20"));
  CHECK_FALSE(parse_rfc3339("yesterday"));
}

TEST_CASE("the boot clock only goes forward", "[base]") {
  const BootTime before = BootClock::now();
  CHECK(BootClock::now() >= before);
}
