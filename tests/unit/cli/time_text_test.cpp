#include "cli/output/time_text.hpp"

#include <catch2/catch.hpp>

namespace orlop::cli {
namespace {

using namespace std::chrono_literals;
const WallTime now = WallTime(1'700'000'000s);

TEST_CASE("an age is told in its largest unit", "[cli]") {
  CHECK(age(now, now) == "0s");
  CHECK(age(now - 59s, now) == "59s");
  CHECK(age(now - 60s, now) == "1min");
  CHECK(age(now - 3599s, now) == "59min");
  CHECK(age(now - 47h, now) == "1d");
  CHECK(age(now - 100 * 24h, now) == "100d");
}

TEST_CASE("a moment that is yet to come, as after a clock was set back, is 0s old", "[cli]") {
  CHECK(age(now + 10s, now) == "0s");
}

TEST_CASE("the age of what is no time is a dash", "[cli]") {
  CHECK(age(std::string_view(), now) == "-");
  CHECK(age(std::string_view("yesterday"), now) == "-");
}

TEST_CASE("--since takes a time or how long ago, and refuses anything else with both forms", "[cli]") {
  CHECK(parse_since("10min", now).value() == now - 10min);
  CHECK(parse_since(rfc3339(now), now).value() == now);
  const Result<WallTime> refused = parse_since("10", now);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::config);
  CHECK(text(refused.error()).find("'10'") != std::string::npos);
  CHECK(text(refused.error()).find("10min") != std::string::npos);
}

}  // namespace
}  // namespace orlop::cli
