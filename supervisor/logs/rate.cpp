#include "supervisor/logs/rate.hpp"

#include <algorithm>

namespace orlop::logs {
namespace {

constexpr Duration full = std::chrono::seconds(1);
constexpr std::uint64_t nanoseconds = 1'000'000'000;
// With at most 2^32 bytes a second and one second of credit no product below exceeds 2^62.
constexpr std::uint64_t max_per_second = 4_GiB .count;

}  // namespace

TokenBucket::TokenBucket(Bytes per_second, BootTime now)
    : per_second_(std::clamp<std::uint64_t>(per_second.count, 1, max_per_second)), empty_at_(now - full) {}

Duration TokenBucket::credit(BootTime now) const {
  return std::clamp(now - empty_at_, Duration(0), full);
}

std::uint64_t TokenBucket::available(BootTime now) const {
  return static_cast<std::uint64_t>(credit(now).count()) * per_second_ / nanoseconds;
}

void TokenBucket::take(std::uint64_t bytes, BootTime now) {
  // Rounded up: rounding never gives a byte away.
  const std::uint64_t cost = (std::min(bytes, per_second_) * nanoseconds + per_second_ - 1) / per_second_;
  empty_at_ = now - credit(now) + Duration(static_cast<Duration::rep>(cost));
}

BootTime TokenBucket::ready_at(std::uint64_t bytes, BootTime now) const {
  const std::uint64_t wanted = (std::min(bytes, per_second_) * nanoseconds + per_second_ - 1) / per_second_;
  return now - credit(now) + Duration(static_cast<Duration::rep>(wanted));
}

}  // namespace orlop::logs
