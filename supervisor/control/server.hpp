// The control socket: accepts connections, gives each its role by the kernel's word, holds the bounds, and tells every
// client what changes.
//
// Invariants: a peer without a role is closed before a byte of its is read. Whatever strangers do, the owner finds a
// place: others never take more than Limits::others of them. Nothing here blocks: every socket is non-blocking, and
// what a client does not take in time costs it the connection.
#pragma once

#include <systemd/sd-event.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/time.hpp"
#include "supervisor/control/service.hpp"

namespace orlop::control {

/// Bounds of the socket (defaults.md, "bus"); those of one message stand in gate.hpp.
struct Limits {
  unsigned owner = 32;                              ///< connections of the instance's owner
  unsigned others = 32;                             ///< connections of all other uids together
  unsigned per_uid = 8;                             ///< connections of one other uid
  unsigned pending = 32;                            ///< calls of one uid that wait for an answer
  Duration authenticate = std::chrono::seconds(2);  ///< from the connection to BEGIN
  Duration message = std::chrono::seconds(2);       ///< from the first byte of a message to its last
  Duration drain = std::chrono::seconds(10);        ///< for a client to take what was written for it
  std::uint64_t queued_writes = 256;                ///< messages that wait for one client
};

struct ServerOptions {
  uid_t owner = 0;                    ///< the admin's uid
  std::optional<gid_t> readers = {};  ///< the group whose members may read
  Limits limits = {};
};

/// What became of connections, since the server began.
struct Counters {
  std::uint64_t accepted = 0;       ///< got a role and a place
  std::uint64_t without_role = 0;   ///< closed: neither owner nor reader
  std::uint64_t without_place = 0;  ///< closed: a bound on connections
  std::uint64_t malformed = 0;      ///< closed by the gate, or by sd-bus behind it
  std::uint64_t late = 0;           ///< closed: a deadline
  std::uint64_t slow = 0;           ///< closed: did not take its answers
};

/// A listening stream socket `name` below `directory`: mode 0660 and the readers' group, or 0600 without one. It
/// appears by rename, with its final owner and mode. A socket that nobody listens on is replaced; conflict/… when
/// another supervisor answers on it or something else has the name.
Result<UniqueFd> make_listener(BorrowedFd directory, const std::string& name, std::optional<gid_t> readers);

class Server {
 public:
  /// Serves `service` on `listener` (from make_listener(), now or by a predecessor) as a part of `loop`. `service` must
  /// outlive the server.
  static Result<std::unique_ptr<Server>> create(sd_event* loop, UniqueFd listener, const ServerOptions& options,
                                                Service& service);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  /// Closes every connection. Replies that are still kept become answers to nobody. Not to be called below a call of
  /// Service.
  ~Server();

  /// Tells all clients of a container that service.containers() now has (InterfacesAdded).
  void container_added(std::string_view name);
  /// Tells all clients of one that it has no more (InterfacesRemoved).
  void container_removed(std::string_view name);
  /// Tells all clients that some property of a container has changed (PropertiesChanged).
  void container_changed(std::string_view name);
  /// Tells all clients that some property of the supervisor has changed.
  void supervisor_changed();

  /// For the descriptor store.
  [[nodiscard]] BorrowedFd listener() const;
  [[nodiscard]] const Counters& counters() const;
  /// Open connections.
  [[nodiscard]] std::size_t connections() const;

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace orlop::control
