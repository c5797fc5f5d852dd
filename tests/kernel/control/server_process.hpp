// A control server in a process of its own, with a small supervisor behind it: real sockets, real credentials, memory
// and descriptors that can be counted from outside.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "supervisor/control/client.hpp"
#include "supervisor/control/server.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop::control {

inline constexpr gid_t readers_group = 4242;
inline constexpr uid_t reader_uid = 1000;

/// Behind the server stands: containers "web" and "a-b". Apply takes a file of names, one a line, as the containers to
/// be, and answers "FILE_NAME DRY_RUN". Stop and Wait are answered by Kill, Restart never, Start changes web's state.
/// Effective is 900,000 bytes. Status gives the counters and who was refused what.
class ServerProcess {
 public:
  explicit ServerProcess(const Limits& limits = {});
  /// The listener of another one that is gone.
  ServerProcess(const Limits& limits, UniqueFd listener);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess() { kill(); }

  [[nodiscard]] std::string socket_path() const { return directory_.path() + "/control.sock"; }
  [[nodiscard]] Client client() const { return Client::connect(socket_path()).value(); }
  /// A duplicate of the listening socket.
  [[nodiscard]] UniqueFd listener() const;
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Ends the process by SIGKILL and reaps it.
  void kill();

  [[nodiscard]] std::size_t open_fds() const;
  [[nodiscard]] std::size_t lowest_free_fd() const;
  [[nodiscard]] std::size_t resident_bytes() const;
  /// The value of a counter in Status, such as "late".
  [[nodiscard]] std::uint64_t counter(std::string_view name) const;

 private:
  void run(const Limits& limits);

  TemporaryDirectory directory_;
  UniqueFd listener_;
  pid_t pid_ = -1;
};

/// Makes this process's connections those of another user while it lives.
class AsUser {
 public:
  AsUser(uid_t uid, gid_t gid, const std::vector<gid_t>& groups);
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  ~AsUser();

 private:
  std::vector<gid_t> groups_;
};

}  // namespace orlop::control
