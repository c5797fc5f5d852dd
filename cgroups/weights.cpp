#include "cgroups/weights.hpp"

#include <algorithm>
#include <cmath>

namespace orlop::cgroups {

std::vector<std::uint64_t> weights(std::span<const CpuShare> shares, std::uint64_t cpus) {
  constexpr double most = 10'000;
  double minimums = 0;
  double written = 0;
  for (const CpuShare& share : shares) {
    minimums += static_cast<double>(share.min_millis);
    written += static_cast<double>(share.weight);
  }
  // What is left for weights is worth `written`: then one thousandth of a CPU is worth `each`.
  const double left = static_cast<double>(cpus) * 1000 - minimums;
  const bool all_claimed = left <= 0;
  const double each = all_claimed ? 1 : written / left;
  std::vector<double> exact;
  double largest = 1;
  for (const CpuShare& share : shares) {
    exact.push_back(static_cast<double>(share.min_millis) * each +
                    (all_claimed ? 0 : static_cast<double>(share.weight)));
    largest = std::max(largest, exact.back());
  }
  const double scale = largest > most ? most / largest : 1;
  std::vector<std::uint64_t> result;
  for (const double weight : exact)
    result.push_back(static_cast<std::uint64_t>(std::clamp(std::round(weight * scale), 1.0, most)));
  return result;
}

}  // namespace orlop::cgroups
