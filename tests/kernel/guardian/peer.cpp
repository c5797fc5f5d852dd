#include "tests/kernel/guardian/peer.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "base/message.hpp"
#include "base/sys.hpp"
#include "supervisor/guardian_link.hpp"

using namespace orlop;
using namespace orlop::guardian_test;

namespace {

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "guardian_peer: %s: %s\n", what, std::strerror(errno));
  std::_Exit(3);
}

/// A sibling: its parent is the guardian. 0 in the child.
pid_t clone_sibling(int* pidfd) {
  clone_args arguments{};
  arguments.flags = CLONE_PARENT | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) die("clone3");
  return static_cast<pid_t>(pid);
}

/// As launch does: a container ends with its guardian.
void die_with(pid_t guardian) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != guardian) ::_exit(exit_gate_ended);  // it died before the line above
}

[[noreturn]] void live(int gate, int output, int status) {
  char byte = 0;
  if (::read(gate, &byte, 1) != 1) ::_exit(exit_gate_ended);
  (void)!::write(output, "payload", 7);
  if (status >= 0) ::_exit(status);
  for (;;) ::pause();
}

/// The connection by which the test learns that this life began. Never 0 to 3.
UniqueFd announce(const std::string& directory) {
  UniqueFd test(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = directory + "/orders";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (::connect(test.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("connect");
  return test;
}

// --- lend ---

void obey(BorrowedFd test, const Command& command) {
  sys::Pipe gate = sys::pipe().value();
  sys::Pipe output = sys::pipe().value();
  const pid_t guardian = ::getppid();
  int pidfd = -1;
  pid_t pid = 0;
  if (command.order == Order::child) {
    pid = clone_sibling(&pidfd);
    if (pid == 0) {
      (void)::close(gate.write.get());
      die_with(guardian);
      live(gate.read.get(), output.write.get(), command.status);
    }
  } else {
    sys::Pipe born = sys::pipe().value();
    const pid_t parent = ::fork();
    if (parent == 0) {
      pid = ::fork();
      if (pid != 0) {
        (void)!::write(born.write.get(), &pid, sizeof pid);
        ::_exit(0);
      }
      (void)::close(gate.write.get());
      live(gate.read.get(), output.write.get(), command.status);
    }
    if (::read(born.read.get(), &pid, sizeof pid) != sizeof pid) die("orphan");
    pidfd = sys::pidfd_open(pid).value().release();
    (void)::waitpid(parent, nullptr, 0);
  }
  const UniqueFd owned(pidfd);
  const std::array fds = {pidfd, gate.write.get(), output.read.get()};
  if (!send_message(test, std::as_bytes(std::span(&pid, 1)), fds)) die("answer");
}

int lend(const UniqueFd& test) {
  const std::array fds = {guardian::supervisor_socket_fd};
  const pid_t self = ::getpid();
  if (!send_message(test, std::as_bytes(std::span(&self, 1)), fds)) die("lend");
  // The test has it now: with ours closed, an end that the test closes is an end that orlopd closed.
  (void)::close(guardian::supervisor_socket_fd);
  for (;;) {
    pollfd readable{.fd = test.get(), .events = POLLIN, .revents = 0};
    (void)::poll(&readable, 1, -1);
    Command command;
    auto received = receive_message(test, std::as_writable_bytes(std::span(&command, 1)));
    if (!received || (*received && (*received)->size == 0)) return 0;
    if (*received) obey(test, command);
  }
}

// --- storm ---

/// One line, appended whole: what was written before a SIGKILL stays.
void record(int file, const std::string& line) {
  if (::write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) die("record");
}

int storm(const std::string& directory) {
  const int log = ::open((directory + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int ran = ::open((directory + "/ran").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0 || ran < 0) die("storm");
  const bool quiet = ::access((directory + "/quiet").c_str(), F_OK) == 0;  // the end: only settle what is open
  supervisor::GuardianLink link{UniqueFd(guardian::supervisor_socket_fd)};
  Result<supervisor::Replay> replay = link.take_back();
  if (!replay) die(sentence(replay.error()).c_str());
  std::map<std::uint64_t, UniqueFd> gates;
  const auto exited = [&](const supervisor::Exited& exit) {
    record(log, "exit " + std::to_string(exit.start) + " " + std::to_string(exit.status) + "\n");
    if (!link.acknowledge(exit.start)) die("acknowledge");
  };
  for (const supervisor::Exited& exit : replay->exits) exited(exit);
  // Numbers are never used twice: each life takes a range of its own.
  std::uint64_t next = static_cast<std::uint64_t>(BootClock::now().time_since_epoch().count());
  for (;;) {
    if (!quiet && gates.size() < 8) {
      sys::Pipe gate = sys::pipe().value();
      const std::uint64_t start = next++;
      int pidfd = -1;
      const pid_t pid = clone_sibling(&pidfd);
      if (pid == 0) {
        (void)::close(gate.write.get());
        gates.clear();  // other children's write ends, as launch closes everything
        char byte = 0;
        if (::read(gate.read.get(), &byte, 1) != 1) ::_exit(exit_gate_ended);
        record(ran, std::to_string(start) + "\n");
        ::_exit(static_cast<int>(start % 90));
      }
      const UniqueFd owned(pidfd);
      if (!link.register_start(start, pid, owned)) die("register");
      gates[start] = std::move(gate.write);
    }
    pollfd ready{
        .fd = link.fd().get(), .events = static_cast<short>(POLLIN | (link.wants_write() ? POLLOUT : 0)), .revents = 0};
    (void)::poll(&ready, 1, quiet || gates.size() >= 8 ? -1 : 0);
    if (!link.flush()) return 3;
    auto messages = link.receive();
    if (!messages) return 3;
    for (const supervisor::Message& message : *messages) {
      if (const auto* registered = std::get_if<supervisor::Registered>(&message)) {
        (void)!::write(gates.at(registered->start).get(), "g", 1);
        gates.erase(registered->start);
      } else if (const auto* exit = std::get_if<supervisor::Exited>(&message)) {
        exited(*exit);
      } else if (std::holds_alternative<supervisor::Ping>(message)) {
        (void)link.pong();
      } else if (std::holds_alternative<supervisor::Terminate>(message)) {
        (void)link.stopping();
        return 0;
      } else {
        die("an answer that cannot be");
      }
    }
  }
}

// --- orphans ---

[[noreturn]] void leave_orphans(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t parent = ::_Fork();
    if (parent < 0) die("fork");
    if (parent == 0) {
      (void)::_Fork();
      ::_exit(0);
    }
    (void)::waitpid(parent, nullptr, 0);
  }
  (void)!::write(STDOUT_FILENO, "done", 4);
  for (;;) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 3 ? argv[1] : "";
  if (mode == "orphans") leave_orphans(std::atoi(argv[2]));
  if (mode != "lend" && mode != "storm") {
    std::fprintf(stderr, "usage: guardian_peer lend|storm DIRECTORY | orphans N\n");
    return 2;
  }
  const UniqueFd test = announce(argv[2]);
  return mode == "lend" ? lend(test) : storm(argv[2]);
}
