#include "supervisor/logs/rate.hpp"

#include <catch2/catch.hpp>

using namespace orlop;
using namespace orlop::logs;
using namespace std::chrono_literals;

TEST_CASE("a bucket is full at first, holds one second's worth, and fills with time", "[logs]") {
  const BootTime begin{100s};
  TokenBucket bucket(1000_KiB, begin);
  CHECK(bucket.available(begin) == 1024000);
  bucket.take(1024000, begin);
  CHECK(bucket.available(begin) == 0);
  CHECK(bucket.available(begin + 250ms) == 256000);
  CHECK(bucket.available(begin + 1h) == 1024000);
}

TEST_CASE("a bucket gives no byte away to rounding, however small the steps", "[logs]") {
  const BootTime begin{0s};
  TokenBucket bucket(Bytes{3}, begin);
  bucket.take(3, begin);
  std::uint64_t passed = 0;
  for (auto now = begin; now <= begin + 10s; now += 1ms)
    if (const std::uint64_t available = bucket.available(now)) {
      bucket.take(available, now);
      passed += available;
    }
  CHECK(passed <= 30);
  CHECK(passed >= 29);
}

TEST_CASE("a bucket says when bytes may pass, and then they may", "[logs]") {
  const BootTime begin{5s};
  TokenBucket bucket(1_MiB, begin);
  bucket.take(1_MiB .count, begin);
  const BootTime ready = bucket.ready_at(262144, begin);
  CHECK(ready == begin + 250ms);
  CHECK(bucket.available(ready) >= 262144);
  CHECK(bucket.available(ready - 1ms) < 262144);
}
