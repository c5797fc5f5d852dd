#include "cgroups/weights.hpp"

#include <catch2/catch.hpp>

#include <numeric>

using namespace orlop::cgroups;

namespace {

// What container `i` gets of `cpus` under full contention, in thousandths of a CPU.
double share_of(const std::vector<std::uint64_t>& weights, std::size_t i, double cpus) {
  const auto sum = static_cast<double>(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}));
  return static_cast<double>(weights[i]) / sum * cpus * 1000;
}

}  // namespace

TEST_CASE("without minimums the weights are those written", "[cgroups]") {
  const std::vector<CpuShare> shares = {{0, 100}, {0, 300}, {0, 1}};
  CHECK(weights(shares, 4) == std::vector<std::uint64_t>{100, 300, 1});
  CHECK(weights({}, 4).empty());
}

TEST_CASE("each minimum is kept under full contention, and the rest is divided by weight", "[cgroups]") {
  const std::vector<CpuShare> shares = {{1000, 100}, {0, 100}, {0, 200}};
  const std::vector<std::uint64_t> result = weights(shares, 2);
  CHECK(share_of(result, 0, 2) == Approx(1000 + 250));
  CHECK(share_of(result, 1, 2) == Approx(250));
  CHECK(share_of(result, 2, 2) == Approx(500));
}

TEST_CASE("weights stay in the kernel's range when minimums claim the whole machine", "[cgroups]") {
  const std::vector<CpuShare> shares = {{1500, 100}, {500, 10'000}, {0, 10'000}};
  const std::vector<std::uint64_t> result = weights(shares, 2);
  CHECK(result == std::vector<std::uint64_t>{1500, 500, 1});
}

TEST_CASE("weights are scaled down together when one would be too large", "[cgroups]") {
  const std::vector<CpuShare> shares = {{1900, 10'000}, {0, 10'000}};
  const std::vector<std::uint64_t> result = weights(shares, 2);
  CHECK(result[0] == 10'000);
  CHECK(share_of(result, 0, 2) == Approx(1950).margin(1));
}

TEST_CASE("for any admitted mixture no minimum is missed by more than the rounding of a weight", "[cgroups]") {
  std::uint32_t seed = GENERATE(range(1U, 200U));
  const auto next = [&seed](std::uint32_t below) {
    return (seed = seed * 1'664'525U + 1'013'904'223U) % 65'536U % below;
  };
  const std::uint64_t cpus = 1 + next(16);
  std::uint64_t left = cpus * 1000;
  std::vector<CpuShare> shares;
  for (std::uint32_t i = 0, count = 1 + next(20); i < count; ++i) {
    const std::uint64_t min = next(2) == 0 ? 0 : std::min<std::uint64_t>(left, next(800));
    left -= min;
    shares.push_back({.min_millis = min, .weight = 100 + next(900)});
  }
  const std::vector<std::uint64_t> result = weights(shares, cpus);
  for (std::size_t i = 0; i < shares.size(); ++i)
    CHECK(share_of(result, i, static_cast<double>(cpus)) >= static_cast<double>(shares[i].min_millis) * 0.99 - 1);
}
