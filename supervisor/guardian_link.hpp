// orlopd's end of the pair with the guardian: what must outlive orlopd goes out here, exits and earlier fds come in.
//
// Loop-agnostic and never blocking, but for take_back() at the start: the caller watches fd() for reading always and
// for writing while wants_write(), and calls receive() and flush(). A Request is sent at once if it fits; otherwise it
// waits in a bounded queue with descriptors of its own. What was sent counts even if orlopd dies in the next instant;
// what is still in the queue does not, so the caller releases a container only when `Registered` has come. An error of
// any member but register_start's and keep's limit/… means that the guardian is gone or speaks another language: orlopd
// then kills what it started, by cgroup, and exits.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/size.hpp"
#include "base/time.hpp"
#include "guardian/protocol.hpp"

namespace orlop::supervisor {

/// A start that the guardian still holds as running.
struct Running {
  std::uint64_t start = 0;
  pid_t pid = 0;
  UniqueFd pidfd;
};

/// A copy of a descriptor that the guardian keeps; it goes on keeping its own until drop(name).
struct Kept {
  std::string name;
  UniqueFd fd;
};

/// One exit, told once in the life of a link and again to each successor until acknowledged.
struct Exited {
  std::uint64_t start = 0;
  pid_t pid = 0;
  int code = 0;    ///< si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED (waitid(2))
  int status = 0;  ///< exit status, or the signal's number
  BootTime at;
  Duration user{};  ///< CPU time, with the descendants it waited for
  Duration system{};
  Bytes max_rss;

  friend bool operator==(const Exited&, const Exited&) = default;
};

/// Everything the guardian held when this orlopd began.
struct Replay {
  bool hands_off = false;    ///< 5 deaths in a minute: adopt, answer status, start nothing
  std::uint32_t deaths = 0;  ///< of orlopd since the guardian began; 0: nothing to adopt from a predecessor
  std::vector<Running> running;
  std::vector<Kept> kept;
  std::vector<Exited> exits;
};

/// The child's exit will come: release its gate.
struct Registered {
  std::uint64_t start = 0;
};
/// The child was dead before it was registered: no exit will come, nothing was kept.
struct Gone {
  std::uint64_t start = 0;
};
/// Nothing of that register_start (`name` empty) or keep (`start` 0) was kept.
struct Refused {
  std::uint64_t start = 0;
  std::string name;
  std::string reason;  ///< a phrase for the operator
};
/// Answer with pong() from the loop, so that a loop that stands still is replaced.
struct Ping {};
/// The guardian was asked to end by `signal`: stop everything, then stopping() and exit.
struct Terminate {
  int signal = 0;
};
using Message = std::variant<Registered, Gone, Refused, Exited, Ping, Terminate>;

/// A descriptor to be kept under a name of 1 to 47 bytes.
struct NamedFd {
  std::string_view name;
  BorrowedFd fd;
};

class GuardianLink {
 public:
  /// Requests that may wait for a guardian that does not read; the next is refused.
  static constexpr std::size_t max_queued = 4096;

  /// Takes the socket (guardian::supervisor_socket_fd in orlopd) and makes it close-on-exec.
  explicit GuardianLink(UniqueFd socket);

  /// Says hello and receives everything up to the end of the replay. Blocks, `timeout` at most; called once, first.
  /// @return kernel/ETIMEDOUT, kernel/EPIPE (the guardian is gone), corrupt/… (another protocol)
  Result<Replay> take_back(Duration timeout = std::chrono::seconds(10));

  /// Hands the child `pid` over: its pidfd, and up to guardian::max_register_fds descriptors that are kept under their
  /// names until drop(). All stay the caller's too. The answer is Registered, Gone or Refused.
  /// @pre the child was made by clone3(CLONE_PARENT) and waits at its gate; `start` was never used before
  /// @return limit/… when the queue is full (nothing was handed over), internal/… for a name too long or too many fds
  Result<void> register_start(std::uint64_t start, pid_t pid, BorrowedFd pidfd, std::span<const NamedFd> named = {});
  /// Has a copy of `fd` kept under `name`, in place of what was kept under it. Answered only if Refused.
  Result<void> keep(std::string_view name, BorrowedFd fd);
  /// Has what is kept under `name` closed; no error if that is nothing.
  Result<void> drop(std::string_view name);
  /// The exit of `start` is recorded where it survives orlopd: the guardian forgets it. Descriptors registered with it
  /// stay until drop().
  Result<void> acknowledge(std::uint64_t start);
  Result<void> pong();
  /// All is stopped; the guardian will not restart orlopd, and exits when orlopd and every start have.
  Result<void> stopping();

  /// All messages that are there now; an empty vector if none. kernel/EPIPE when the guardian is gone.
  Result<std::vector<Message>> receive();
  /// Sends what waits in the queue, as far as it fits.
  Result<void> flush();
  /// Whether flush() has something to do when the socket is writable.
  [[nodiscard]] bool wants_write() const { return !queue_.empty(); }
  [[nodiscard]] BorrowedFd fd() const { return socket_; }

 private:
  struct Queued {
    guardian::Request request;
    std::vector<UniqueFd> fds;
  };
  struct Received {
    guardian::Report report;
    UniqueFd fd;
  };

  Result<void> send(const guardian::Request& request, std::span<const int> fds);
  /// Nothing: no message is there.
  Result<std::optional<Received>> receive_one();

  UniqueFd socket_;
  std::deque<Queued> queue_;
};

}  // namespace orlop::supervisor
