// One client: its socket, its gate, the sd-bus behind the gate, its deadlines and the calls it waits for.
//
//   client ──socket──► gate ──socketpair──► sd-bus
//      ▲                                       │
//      └──────────── the same socket ◄─────────┘
//
// What comes in passes the gate; what goes out goes straight to the client, descriptors included. sd-bus sees the
// socketpair's credentials, its own, so it decides nothing: every call is weighed by the Peer that the kernel named.
//
// sd-bus (252) drops a message that it cannot read and never closes the descriptors that came with it. So only the
// admin may send any, and whoever sends such a message loses the connection.
//
// Invariants: nothing is read from a client that has not taken what was written for it, so that its answers, not its
// patience, bound the memory it costs. A connection that must end is only marked; the server destroys it later, never
// below one of its own calls.
#pragma once

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include <functional>
#include <memory>
#include <optional>
#include <unordered_set>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/time.hpp"
#include "supervisor/control/gate.hpp"
#include "supervisor/control/server.hpp"
#include "supervisor/control/service.hpp"

namespace orlop::control {

struct EventSourceClose {
  void operator()(sd_event_source* source) const noexcept { sd_event_source_disable_unref(source); }
};
using EventSource = std::unique_ptr<sd_event_source, EventSourceClose>;

struct BusClose {
  void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
};
struct MessageUnref {
  void operator()(sd_bus_message* message) const noexcept { sd_bus_message_unref(message); }
};
using BusMessage = std::unique_ptr<sd_bus_message, MessageUnref>;

class Connection;

/// A call that waits for its answer. Owned by the connection: gone with it, and gone once it is answered.
struct PendingCall {
  Connection& connection;
  BusMessage message;
};

/// What a connection needs of the server that made it.
struct ConnectionOwner {
  sd_event* loop;
  Service& service;
  const Limits& limits;
  /// The connection must be destroyed soon; `cause` says which counter it belongs to, if any.
  std::function<void(std::uint64_t Counters::* cause)> ended;
  /// How many calls of `uid` wait, on all its connections.
  std::function<std::size_t(uid_t uid)> pending_calls;
};

class Connection {
 public:
  static Result<std::unique_ptr<Connection>> create(const ConnectionOwner& owner, UniqueFd socket, Peer peer);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;

  [[nodiscard]] const Peer& peer() const { return peer_; }
  [[nodiscard]] Service& service() const { return owner_.service; }
  [[nodiscard]] std::size_t pending_calls() const { return calls_.size(); }
  [[nodiscard]] bool has_ended() const { return ended_; }

  /// Keeps `message` until it is answered. limit/… when the peer has too many of them.
  Result<std::shared_ptr<PendingCall>> expect_answer(sd_bus_message* message);
  /// Sends `answer` (null: out of memory or nothing to say) and forgets the call.
  void answer(const PendingCall& call, sd_bus_message* answer);
  /// Runs `emit` on the bus of a client that listens already, and takes care of what could not be written at once.
  void emit(const std::function<int(sd_bus* bus)>& emit);

 private:
  Connection(const ConnectionOwner& owner, UniqueFd socket, Peer peer);
  Result<void> open_bus();
  Result<void> watch();

  static int on_io(sd_event_source* source, int fd, std::uint32_t events, void* connection);
  static int on_message(sd_bus_message* message, void* connection, sd_bus_error* error);
  static int on_deadline(sd_event_source* source, std::uint64_t usec, void* connection);
  void read();
  bool forward(const Unit& unit);
  bool process();
  void settle();
  void set_deadline();
  void end(std::uint64_t Counters::* cause);
  [[nodiscard]] bool must_write() const;

  const ConnectionOwner& owner_;
  Peer peer_;
  Gate gate_;
  UniqueFd socket_;                 // the client's; sd-bus writes to a duplicate
  UniqueFd inbound_;                // the gate's end of the socketpair
  std::vector<UniqueFd> received_;  // descriptors not yet forwarded
  std::unordered_set<std::shared_ptr<PendingCall>> calls_;
  std::unique_ptr<sd_bus, BusClose> bus_;
  std::uint64_t arrived_ = 0;  // messages that sd-bus could read
  EventSource io_;
  EventSource timer_;
  std::optional<BootTime> unfinished_;  // when the authentication or the present message must be complete
  std::optional<BootTime> undrained_;   // when the client must have taken something
  bool ended_ = false;
};

}  // namespace orlop::control
