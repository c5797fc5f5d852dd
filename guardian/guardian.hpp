// The guardian's loop: reap, talk, keep time, wait. It waits in one place, poll(2), and nowhere else: sockets are
// non-blocking, children are reaped with WNOHANG, messages for the operator are dropped rather than waited for.
//
// Order of a turn: first all dead children, then the socket, then the clock. A dead orlopd's socket is read to its end
// before the next one is started, so that what it managed to send counts.
#pragma once

#include "guardian/state.hpp"

namespace orlop::guardian {

struct Options {
  const char* supervisor_path = nullptr;
  char** supervisor_argv = nullptr;  ///< argv[0] included
  std::uint64_t ping_interval_ns = 30'000'000'000;
  std::uint64_t stop_timeout_ns = 90'000'000'000;
  bool chaos = false;                   ///< orlopd is restarted at once however often it dies, never hands-off
  const char* oom_score_adj = nullptr;  ///< what orlopd gets back, as /proc wrote it; nullptr: leave it
};

/// Runs until the end: `signals` is a signalfd of SIGCHLD, SIGTERM and SIGINT, all signals are blocked.
/// @return the exit status: that of the orlopd which said `stopping`, 1 when it had to be killed
int run(State& state, int signals, const Options& options);

/// Writes `text`, then `number` if it is not negative, and a newline to standard error, without ever waiting.
void say(const char* text, long number = -1);

}  // namespace orlop::guardian
