// orlopd's decisions: one function of state, event and time. It reads no clock, opens no file and calls no kernel, so
// the same function serves orlopd and the simulation that crashes it at every step.
//
// What it keeps, whatever the executor reports and whenever orlopd dies:
//   1. A start is launched only after its number and record are on disk.
//   2. An exit is acknowledged only after it is recorded; told again, it is acknowledged again and nothing else.
//   3. A name has one start at a time: the next comes when the last has been put away.
//   4. No restart comes sooner than its backoff, and none without what the container requires.
//   5. Every wish is reached once the host lets it: each phase that waits has a deadline or an answer to come.
#pragma once

#include "supervisor/core/effect.hpp"
#include "supervisor/core/event.hpp"
#include "supervisor/core/state.hpp"

namespace orlop::core {

/// Start numbers are reserved on disk in blocks of this many, so that a start waits for no sync of its own.
inline constexpr Start reserve_block = 1024;
/// How long after a refused write or clearing up it is tried again.
inline constexpr Duration retry_delay = std::chrono::seconds(1);
/// How long after a kill of a group without an exit it is killed again.
inline constexpr Duration kill_again_delay = std::chrono::seconds(5);

/// How soon after its start, and how often within its start period, a container is probed; `interval` if that is less.
inline constexpr Duration first_probe_delay = std::chrono::seconds(1);

/// Takes `event`, which happened at `now`, into `state` and returns what is to be done. `now` never goes back.
Effects decide(State& state, const Event& event, BootTime now);

}  // namespace orlop::core
