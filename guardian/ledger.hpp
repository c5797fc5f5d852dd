// The guardian's decisions: what a Request, an exit or a death of orlopd changes in the State, and what is to be said
// next. No clock, no socket, no allocation; the few calls it needs come in as `Kernel`, so that tests and a fuzzer can
// stand in for them.
//
// Invariants: a descriptor handed to take_request() is closed by it or owned by a slot; every count in State equals
// what the slots hold; each exit of a registered start is said once a connection until it is acknowledged.
#pragma once

#include "guardian/state.hpp"

namespace orlop::guardian {

/// What the ledger needs of the kernel.
struct Kernel {
  bool (*is_living_child)(int pidfd);
  void (*close_fd)(int fd);
};

/// One message as it came from the socket.
struct Incoming {
  const Request* request = nullptr;
  std::size_t size = 0;  ///< of the message; more than sizeof(Request) counts as that plus one
  const int* fds = nullptr;
  std::size_t fd_count = 0;
  bool fds_cut = false;  ///< MSG_CTRUNC: not all descriptors could be received
};

/// Prepares a zero-filled or former State for its first orlopd.
void begin(State& state);
/// A new connection, at `now_ns`: everything is to be told again, and after 5 deaths in a minute the new orlopd is to
/// keep its hands off.
void begin_connection(State& state, std::uint64_t now_ns);
/// Acts on one message. false: it breaks the protocol; the State is unchanged and the connection must end.
bool take_request(State& state, const Incoming& incoming, const Kernel& kernel);

/// Finds what is to be said next, with the descriptor that goes with it (-1: none, still owned by its slot).
/// false: nothing. The same Report comes again until report_sent(). As long as there is something to be said the caller
/// reads no Request, so that one answer at most waits.
bool next_report(State& state, Report& report, int& fd);
/// `report`, the last one found, is in the socket.
void report_sent(State& state, const Report& report);

/// A child was reaped. One that no start names is forgotten.
void record_exit(State& state, const Exit& exit);
/// orlopd was reaped at `now_ns`: counts the death and returns when the next one is to be started: at once after the
/// first death in a minute, 100 ms later for each further one, 1 s later at most.
std::uint64_t record_death(State& state, std::uint64_t now_ns);

}  // namespace orlop::guardian
