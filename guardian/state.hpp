// All that the guardian knows: one fixed-size, versioned struct. It lies in a memfd, so that together with the
// descriptors whose numbers it holds it can pass through an execve of the guardian itself. All zero is a new guardian,
// but for the first three fields; pages of slots that were never used are never touched and cost nothing.
#pragma once

#include "guardian/protocol.hpp"

namespace orlop::guardian {

/// Deaths of orlopd within `hands_off_window_ns` that make the next one start hands-off.
inline constexpr std::size_t hands_off_deaths = 5;
inline constexpr std::uint64_t hands_off_window_ns = 60'000'000'000;
/// Pings without a pong after which orlopd is replaced at the next tick.
inline constexpr std::uint32_t missed_pings = 2;

enum class StartState : std::uint32_t { free = 0, running = 1, exited = 2 };

struct StartSlot {
  std::uint64_t start = 0;
  StartState state = StartState::free;
  std::int32_t pid = 0;
  std::int32_t pidfd = 0;  ///< owned while not free
  std::uint32_t told = 0;  ///< the exit went out on this connection
  Exit exit = {};
};

struct KeptSlot {
  FdName name = {};     ///< empty: free
  std::int32_t fd = 0;  ///< owned while not free
};

/// How far the talk with orlopd has come.
enum class Phase : std::uint32_t {
  silent = 0,  ///< no orlopd, or one that has not said hello
  welcome,     ///< from here to `exits` the replay is going out; `cursor` says how far
  kept,
  running,
  exits,
  live,
};

struct State {
  static constexpr std::uint64_t expected_magic = 0x30316c6f726c6f67;  // "golrol10", as it lies in memory
  static constexpr std::uint32_t expected_version = 1;

  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t bytes = 0;  ///< sizeof(State)

  // The present orlopd. Times are CLOCK_BOOTTIME in nanoseconds; 0: not set.
  std::int32_t supervisor_pid = 0;  ///< 0: none is running
  std::int32_t socket = 0;          ///< our end of its pair, owned; -1: none
  std::uint64_t ping_at_ns = 0;     ///< the next tick
  std::uint64_t restart_at_ns = 0;
  std::uint32_t hands_off = 0;
  std::uint32_t unanswered = 0;  ///< pings without a pong
  std::uint32_t stopping = 0;    ///< orlopd said that all is stopped

  // What is to be said to it. What does not fit into the socket stays here: there is no queue.
  Phase phase = Phase::silent;
  std::uint32_t cursor = 0;
  std::uint32_t untold_exits = 0;
  std::uint32_t ping_due = 0;
  std::uint32_t terminate_due = 0;
  std::uint32_t answer_due = 0;  ///< `answer` waits; until it is sent no Request is read
  Report answer = {};

  // The end.
  std::int32_t terminate_signal = 0;  ///< what asked us to end
  std::int32_t exit_status = 0;       ///< of the orlopd that said `stopping`; ours, when nothing is left
  std::uint32_t killed = 0;           ///< everything known was sent SIGKILL
  std::uint32_t unused = 0;
  std::uint64_t kill_at_ns = 0;

  std::uint64_t death_at_ns[hands_off_deaths] = {};  ///< ring: deaths of orlopd
  Counts counts = {};
  std::uint32_t starts_end = 0;  ///< slots from here on are free
  std::uint32_t kept_end = 0;
  StartSlot starts[max_starts] = {};
  KeptSlot kept[max_kept_fds] = {};
};

}  // namespace orlop::guardian
