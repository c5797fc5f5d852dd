#include "history.hpp"

#include "world.hpp"

namespace orlop::simulation {

namespace {

constexpr std::string_view fault_names[] = {"none",         "drop_write",   "launch_early", "acknowledge_early",
                                            "forget_exit",  "skip_cleanup", "skip_kill",    "run_clock_fast",
                                            "lose_numbers", "relaunch",     "forget_wish"};

constexpr std::uint64_t most_calm_steps = 20'000;
constexpr std::uint64_t steps_of_peace = 30;  ///< what is reached must also last

}  // namespace

std::string_view to_string(Fault fault) {
  return fault_names[static_cast<std::size_t>(fault)];
}

Outcome run_history(const Options& options, Counts& counts) {
  World world(options, counts);
  Random length(~options.seed);
  Outcome outcome;
  for (std::uint64_t left = 50 + length.below(300); left > 0 && world.breach().empty(); --left, ++outcome.steps)
    world.chaos();
  if (world.breach().empty()) world.make_quiet();
  std::uint64_t reached = 0;
  std::string missing;
  for (std::uint64_t left = most_calm_steps; left > 0 && world.breach().empty() && reached < steps_of_peace;
       --left, ++outcome.steps) {
    world.calm();
    if (world.is_busy()) continue;
    missing = world.unreached();
    if (missing.empty())
      ++reached;
    else if (reached > 0)
      break;  // what was reached does not last
  }
  outcome.breach = world.breach();
  if (outcome.breach.empty() && reached < steps_of_peace)
    outcome.breach = (reached == 0 ? "a wish is never reached: " : "a wish that was reached does not last: ") + missing;
  return outcome;
}

}  // namespace orlop::simulation
