// What the tests and the program that plays orlopd (peer.cpp) say to each other.
//
// `guardian_peer lend DIRECTORY` connects to the test's socket DIRECTORY/orders and lends it the descriptor that the
// guardian gave it, so that the test itself speaks as orlopd; it then does what only a child of the guardian can: make
// siblings. `guardian_peer storm DIRECTORY` connects too, but plays a whole orlopd by itself until it is killed
// (storm_test.cpp).
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace orlop::guardian_test {

enum class Order : std::uint8_t {
  child,   ///< clone3(CLONE_PARENT) one that waits at its gate; answered with pid and pidfd, gate, output
  orphan,  ///< a grandchild that outlives its parent and exits when the gate opens; answered the same way
};

struct Command {
  Order order = Order::child;
  int status = 0;  ///< what the child does once its gate opens: writes "payload", then exits so; -1: never
};

/// The exit status of a child whose gate ended without a byte.
inline constexpr int exit_gate_ended = 99;

}  // namespace orlop::guardian_test
