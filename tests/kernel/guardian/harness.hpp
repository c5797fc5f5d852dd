// A real guardian with a borrowed orlopd: the test speaks over the pair itself.
#pragma once

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/message.hpp"
#include "base/sys.hpp"
#include "supervisor/guardian_link.hpp"
#include "tests/kernel/guardian/peer.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop::guardian_test {

using namespace std::chrono_literals;
using supervisor::GuardianLink;
using supervisor::Message;

/// How long an event may take before the test says that it does not come.
inline constexpr std::chrono::milliseconds patience = 20s;

inline bool wait_readable(BorrowedFd fd, std::chrono::milliseconds at_most = patience) {
  pollfd readable{.fd = fd.get(), .events = POLLIN, .revents = 0};
  return ::poll(&readable, 1, static_cast<int>(at_most.count())) == 1;
}

/// Whether the process ends in time: a pidfd reads as ready then.
inline bool ends(BorrowedFd pidfd, std::chrono::milliseconds at_most = patience) {
  return wait_readable(pidfd, at_most);
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The value of `field` in /proc/PID/status.
inline std::string status_field(pid_t pid, const std::string& field) {
  std::istringstream lines(read_text("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(field + ":")) return line.substr(line.find_first_not_of(" \t", field.size() + 1));
  return "";
}

inline std::size_t count_fds(pid_t pid) {
  const auto directory = sys::open("/proc/" + std::to_string(pid) + "/fd", O_RDONLY | O_DIRECTORY);
  return list_directory(directory.value()).value().size();
}

/// A child of the guardian, waiting at its gate.
struct Child {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd gate;
  UniqueFd output;

  void open_gate() const { REQUIRE(::write(gate.get(), "g", 1) == 1); }
};

/// One life of orlopd.
struct Peer {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd orders;
  UniqueFd socket;  ///< before take_back()
  std::optional<GuardianLink> link;

  supervisor::Replay take_back() {
    link.emplace(std::move(socket));
    auto replay = link->take_back();
    if (!replay) FAIL(text(replay.error()));
    return std::move(*replay);
  }

  Child make(const Command& command) const {
    REQUIRE(send_message(orders, std::as_bytes(std::span(&command, 1)), {}).value());
    REQUIRE(wait_readable(orders));
    Child child;
    auto received = receive_message(orders, std::as_writable_bytes(std::span(&child.pid, 1)));
    REQUIRE(received);
    REQUIRE(*received);
    REQUIRE((*received)->fds.size() == 3);
    child.pidfd = std::move((*received)->fds[0]);
    child.gate = std::move((*received)->fds[1]);
    child.output = std::move((*received)->fds[2]);
    return child;
  }
  Child child(int status) const { return make({.order = Order::child, .status = status}); }

  /// The next message, whatever it is.
  Message next() {
    if (pending_.empty()) {
      REQUIRE(link->flush());
      REQUIRE(wait_readable(link->fd()));
      auto messages = link->receive();
      if (!messages) FAIL(text(messages.error()));
      pending_ = std::move(*messages);
      REQUIRE_FALSE(pending_.empty());
    }
    Message message = std::move(pending_.front());
    pending_.erase(pending_.begin());
    return message;
  }
  template <class T>
  T expect() {
    Message message = next();
    INFO("message of index " << message.index());
    REQUIRE(std::holds_alternative<T>(message));
    return std::get<T>(std::move(message));
  }
  /// Registered, gate opened.
  Child run(std::uint64_t start, int status, std::span<const supervisor::NamedFd> named = {}) {
    Child made = child(status);
    REQUIRE(link->register_start(start, made.pid, made.pidfd, named));
    CHECK(expect<supervisor::Registered>().start == start);
    made.open_gate();
    return made;
  }
  /// As the kernel ends an orlopd: the process, and with it what only it held.
  void kill() {
    REQUIRE(sys::pidfd_send_signal(pidfd, SIGKILL));
    REQUIRE(ends(pidfd));
    link.reset();
    socket.reset();
    pending_.clear();
  }

 private:
  std::vector<Message> pending_;
};

/// orlop-init with what a test needs; killed with everything below it when the test leaves.
class Guardian {
 public:
  enum class Pids { shared, own };

  /// @param mode  of the peer, peer.hpp
  explicit Guardian(const std::vector<std::string>& options = {}, const std::string& mode = "lend",
                    Pids pids = Pids::shared) {
    listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = directory_.path() + "/orders";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
    std::vector<std::string> argv = {ORLOP_INIT, "--orlopd", GUARDIAN_PEER};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(mode);
    argv.push_back(directory());
    std::vector<char*> pointers;
    for (std::string& argument : argv) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    const UniqueFd log = sys::open(log_path(), O_WRONLY | O_CREAT | O_APPEND, 0600).value();
    if (pids == Pids::own) REQUIRE(::unshare(CLONE_NEWPID) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);  // also when the test is killed
      (void)::dup2(log.get(), STDERR_FILENO);
      ::execv(ORLOP_INIT, pointers.data());
      ::_exit(127);
    }
    REQUIRE(pid_ > 0);
    pidfd_ = sys::pidfd_open(pid_).value();
    if (pids == Pids::own) REQUIRE(sys::setns(sys::open("/proc/self/ns/pid", O_RDONLY).value(), CLONE_NEWPID));
  }
  ~Guardian() {
    (void)sys::pidfd_send_signal(pidfd_, SIGKILL);  // its children ask for SIGKILL when it dies
    (void)::waitpid(pid_, nullptr, 0);
  }
  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;

  /// The next life of orlopd, once it is there.
  Peer announced() {
    INFO(log());
    REQUIRE(wait_readable(listener_));
    Peer peer;
    peer.orders.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ucred credentials{};
    socklen_t size = sizeof credentials;
    REQUIRE(::getsockopt(peer.orders.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0);
    peer.pid = credentials.pid;
    peer.pidfd = sys::pidfd_open(peer.pid).value();
    return peer;
  }
  /// The next life of orlopd with the socket that it lends.
  Peer peer() {
    Peer peer = announced();
    REQUIRE(wait_readable(peer.orders));
    pid_t own_view = 0;
    auto received = receive_message(peer.orders, std::as_writable_bytes(std::span(&own_view, 1)));
    REQUIRE(received);
    REQUIRE(*received);
    REQUIRE((*received)->fds.size() == 1);
    peer.socket = std::move((*received)->fds[0]);
    return peer;
  }
  /// The exit status, once it has ended by itself.
  int exit_status() {
    INFO(log());
    REQUIRE(ends(pidfd_));
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) == 0);
    REQUIRE(info.si_code == CLD_EXITED);
    return info.si_status;
  }
  void signal(int number) const { REQUIRE(sys::pidfd_send_signal(pidfd_, number)); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] BorrowedFd pidfd() const { return pidfd_; }
  [[nodiscard]] std::string log() const { return read_text(log_path()); }
  [[nodiscard]] const std::string& directory() const { return directory_.path(); }

 private:
  [[nodiscard]] std::string log_path() const { return directory_.path() + "/stderr"; }

  TemporaryDirectory directory_;
  UniqueFd listener_;
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace orlop::guardian_test
