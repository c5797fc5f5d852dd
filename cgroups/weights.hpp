// CPU minimums by weights: the kernel knows no CPU minimum, but under contention siblings get CPU in proportion to
// their weights. Admission keeps the sum of minimums within the machine; this keeps each minimum within the sum.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orlop::cgroups {

/// What one container asks for.
struct CpuShare {
  std::uint64_t min_millis = 0;  ///< thousandths of one CPU
  std::uint64_t weight = 100;    ///< 1 to 10,000
};

/// The weight of each container among its siblings, in the order given.
///
/// Each minimum gets its share of the machine's `cpus`; the rest is divided by weight, and so added to it. Without
/// minimums the result is the weights as written. All lie in 1 to 10,000: if one would be more, all are scaled down.
/// Minimums beyond the machine, which admission refuses, share it in proportion.
std::vector<std::uint64_t> weights(std::span<const CpuShare> shares, std::uint64_t cpus);

}  // namespace orlop::cgroups
