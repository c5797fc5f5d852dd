// Seeded histories of a host: chaos first, then quiet, in which every wish has to be reached. The same seed gives the
// same history on every machine.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace orlop::simulation {

/// A mistake built into the executor on purpose, to see that the invariants notice it.
enum class Fault : std::uint8_t {
  none,
  drop_write,         ///< a write is said to be done and is not
  launch_early,       ///< the launch does not wait for the record
  acknowledge_early,  ///< the guardian forgets an exit as soon as it is delivered
  forget_exit,        ///< an exit is thrown away and acknowledged
  skip_cleanup,       ///< clearing up is said to be done and is not
  skip_kill,          ///< a group is not killed
  run_clock_fast,     ///< the timer's event tells a time that has not come
  lose_numbers,       ///< start numbers are not reserved on disk
  relaunch,           ///< a launch is done twice
  forget_wish,        ///< what an operator said is not kept over a boot
};
inline constexpr Fault all_faults[] = {
    Fault::drop_write, Fault::launch_early,   Fault::acknowledge_early, Fault::forget_exit, Fault::skip_cleanup,
    Fault::skip_kill,  Fault::run_clock_fast, Fault::lose_numbers,      Fault::relaunch,    Fault::forget_wish};
std::string_view to_string(Fault fault);

/// What happened, summed over histories, so that it is seen that it does happen.
using Counts = std::map<std::string, std::uint64_t>;

/// One history. `breach` is empty when every invariant held.
struct Outcome {
  std::string breach;
  std::uint64_t steps = 0;
};

struct Options {
  std::uint64_t seed = 1;
  Fault fault = Fault::none;
  bool trace = false;  ///< print every event, effect and act
};

Outcome run_history(const Options& options, Counts& counts);

}  // namespace orlop::simulation
