// A token bucket: how many bytes a stream may log now. Pure; the caller brings the time.
#pragma once

#include <cstdint>

#include "base/size.hpp"
#include "base/time.hpp"

namespace orlop::logs {

/// Fills with `per_second` and holds one second's worth. Full at first. Credit is kept as time, so nothing is lost to
/// rounding however often it is asked.
class TokenBucket {
 public:
  /// @param per_second  1 byte to 4 GiB; what lies outside is taken as the nearer end
  TokenBucket(Bytes per_second, BootTime now);
  /// Bytes that may pass at `now`.
  [[nodiscard]] std::uint64_t available(BootTime now) const;
  /// Takes `bytes`, at most available(now).
  void take(std::uint64_t bytes, BootTime now);
  /// When `bytes` (at most one second's worth) may pass, if nothing is taken before.
  [[nodiscard]] BootTime ready_at(std::uint64_t bytes, BootTime now) const;
  /// Bytes that an idle bucket holds.
  [[nodiscard]] std::uint64_t capacity() const { return per_second_; }

 private:
  [[nodiscard]] Duration credit(BootTime now) const;
  std::uint64_t per_second_;
  BootTime empty_at_;  ///< the moment at which the credit was (or will be) nothing
};

}  // namespace orlop::logs
