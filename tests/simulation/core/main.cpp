// simulation [--seed N] [--count N] [--fault NAME] [--trace]: runs COUNT histories from SEED on and prints what
// happened in them. Ends with 1 and the seed at the first breach.
#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "history.hpp"

using namespace orlop::simulation;

namespace {

int usage() {
  fmt::print(stderr, "usage: simulation [--seed N] [--count N] [--fault NAME] [--trace]\nfaults:");
  for (const Fault fault : all_faults) fmt::print(stderr, " {}", to_string(fault));
  fmt::print(stderr, "\n");
  return 2;
}

bool read_number(const char* digits, std::uint64_t& into) {
  const auto [end, error] = std::from_chars(digits, digits + std::strlen(digits), into);
  return error == std::errc{} && *end == '\0';
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::uint64_t seeds = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (option == "--trace") {
      options.trace = true;
      continue;
    }
    if (!value) return usage();
    ++i;
    if (option == "--seed") {
      if (!read_number(value, options.seed)) return usage();
    } else if (option == "--count") {
      if (!read_number(value, seeds)) return usage();
    } else if (option == "--fault") {
      for (const Fault fault : all_faults)
        if (to_string(fault) == value) options.fault = fault;
      if (options.fault == Fault::none) return usage();
    } else {
      return usage();
    }
  }

  Counts counts;
  std::uint64_t steps = 0;
  for (std::uint64_t left = seeds; left > 0; --left, ++options.seed) {
    const Outcome outcome = run_history(options, counts);
    steps += outcome.steps;
    if (outcome.breach.empty()) continue;
    fmt::print("seed {}: {} (after {} steps)\n", options.seed, outcome.breach, outcome.steps);
    return 1;
  }
  fmt::print("{} histories, {} steps, every invariant held\n", seeds, steps);
  for (const auto& [what, times] : counts) fmt::print("{:>12}  {}\n", times, what);
  return 0;
}
