#include "guardian/guardian.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <initializer_list>

#include "guardian/ledger.hpp"

namespace orlop::guardian {

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * second_ns + static_cast<std::uint64_t>(now.tv_nsec);
}

bool is_living_child(int pidfd) {
  siginfo_t info{};
  return ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                  WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
         info.si_pid == 0;
}

void close_fd(int fd) {
  (void)::close(fd);  // Linux has released it whatever close says
}

constexpr Kernel kernel = {.is_living_child = is_living_child, .close_fd = close_fd};

// --- the pair ---

enum class Sent { yes, full, broken };

Sent send(int socket, const Report& report, int fd) {
  iovec part = {const_cast<Report*>(&report), sizeof report};  // NOLINT: sendmsg only reads
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  if (::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::yes;
  return errno == EAGAIN ? Sent::full : Sent::broken;
}

enum class Received { request, nothing, end, broken };

/// Receives one Request and acts on it.
Received receive(State& state) {
  Request request;
  char beyond = 0;  // a message that reaches here is too long
  int fds[max_request_fds] = {};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  iovec parts[] = {{&request, sizeof request}, {&beyond, sizeof beyond}};
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof fds);  // not the padded size, which has room for one descriptor more
  ssize_t size = -1;
  // ECONNRESET says, once, that the peer died without reading all; what it sent before is still to come.
  do size = ::recvmsg(state.socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == ECONNRESET);
  if (size == 0) return Received::end;
  if (size < 0) return errno == EAGAIN ? Received::nothing : Received::broken;
  Incoming incoming = {.request = &request,
                       .size = static_cast<std::size_t>(size),
                       .fds = fds,
                       .fds_cut = (message.msg_flags & MSG_CTRUNC) != 0};
  const cmsghdr* rights = CMSG_FIRSTHDR(&message);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    incoming.fd_count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(rights), incoming.fd_count * sizeof(int));
  }
  return take_request(state, incoming, kernel) ? Received::request : Received::broken;
}

void disconnect(State& state) {
  close_fd(state.socket);
  state.socket = -1;
}

/// Hears what a peer that is gone has sent before; it gets no answers.
void hear_out(State& state) {
  while (receive(state) == Received::request) state.answer_due = 0;
  disconnect(state);
}

/// An orlopd without a connection is replaced, after `grace_ns` in which it may be on its way out.
void replace_supervisor(State& state, std::uint64_t grace_ns) {
  state.ping_at_ns = now_ns() + grace_ns;
  state.unanswered = missed_pings;
}

/// Says all that is due, as far as it fits.
Sent say_due(State& state) {
  Report report;
  int fd = -1;
  while (next_report(state, report, fd)) {
    if (const Sent sent = send(state.socket, report, fd); sent != Sent::yes) return sent;
    report_sent(state, report);
  }
  return Sent::yes;
}

/// Says and hears what can be said and heard now. At most as many Requests a turn as leave the children their reaper.
void talk(State& state) {
  for (int budget = 256; state.socket >= 0 && budget > 0; --budget) {
    const Sent sent = say_due(state);
    if (sent == Sent::full) return;
    switch (sent == Sent::broken ? Received::end : receive(state)) {
      case Received::request:
        break;
      case Received::nothing:
        return;
      case Received::end:
        hear_out(state);
        replace_supervisor(state, second_ns);
        break;
      case Received::broken:
        say("orlopd broke the protocol and is replaced");
        disconnect(state);
        replace_supervisor(state, 0);
        break;
    }
  }
}

// --- orlopd ---

/// The child's side: only async-signal-safe calls. Everything but 0, 1, 2 and the socket is closed.
[[noreturn]] void become_supervisor(const Options& options, int socket, pid_t guardian) {
  if (socket == supervisor_socket_fd)
    (void)::fcntl(socket, F_SETFD, 0);
  else if (::dup2(socket, supervisor_socket_fd) < 0)
    ::_exit(127);
  if (options.oom_score_adj != nullptr) {
    const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    (void)!::write(file, options.oom_score_adj, strlen(options.oom_score_adj));  // a weaker default, not an error
  }
  (void)::syscall(SYS_close_range, supervisor_socket_fd + 1, ~0U, 0);
  for (int signal = 1; signal <= SIGRTMAX; ++signal) (void)::signal(signal, SIG_DFL);
  const std::uint64_t none = 0;
  (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  // SIGTERM, not SIGKILL: an orlopd whose guardian died must still kill what it started.
  (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != guardian) ::_exit(127);
  ::execve(options.supervisor_path, options.supervisor_argv, environ);
  say("cannot execute orlopd: errno", errno);
  ::_exit(127);
}

void start_supervisor(State& state, const Options& options) {
  const std::uint64_t now = now_ns();
  state.restart_at_ns = now + second_ns;  // if something fails below
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return say("cannot make a socket pair for orlopd: errno", errno);
  const pid_t self = ::getpid();
  const pid_t child = ::_Fork();
  if (child == 0) become_supervisor(options, pair[1], self);
  close_fd(pair[1]);
  if (child < 0) {
    close_fd(pair[0]);
    return say("cannot fork orlopd: errno", errno);
  }
  begin_connection(state, now);
  if (state.hands_off != 0) say("orlopd died 5 times in a minute and is started hands-off");
  state.supervisor_pid = child;
  state.socket = pair[0];
  state.restart_at_ns = 0;
  state.ping_at_ns = now + options.ping_interval_ns;
}

void supervisor_died(State& state, int status, const Options& options) {
  if (state.socket >= 0) hear_out(state);
  state.supervisor_pid = 0;
  state.ping_at_ns = 0;
  // Its last word: whether it stopped as it was asked to, or could not come up at all.
  if (state.stopping != 0) state.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  if (state.stopping != 0 || state.killed != 0) return;
  if (options.chaos) {
    ++state.counts.deaths;
    state.restart_at_ns = now_ns();
  } else {
    state.restart_at_ns = record_death(state, now_ns());
  }
  if (WIFSIGNALED(status))
    say("orlopd died and is started again: signal", WTERMSIG(status));
  else
    say("orlopd died and is started again: exit status", WEXITSTATUS(status));
}

// --- children and signals ---

/// SIGCHLDs merge: one may stand for many children.
void reap(State& state, const Options& options) {
  int status = 0;
  rusage used = {};
  for (pid_t pid = 0; (pid = ::wait4(-1, &status, WNOHANG | __WALL, &used)) > 0;) {
    if (pid == state.supervisor_pid) {
      supervisor_died(state, status, options);
      continue;
    }
    const auto microseconds = [](const timeval& time) {
      return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
    };
    const bool exited = WIFEXITED(status);
    record_exit(state, {.pid = pid,
                        .code = exited              ? CLD_EXITED
                                : WCOREDUMP(status) ? CLD_DUMPED
                                                    : CLD_KILLED,
                        .status = exited ? WEXITSTATUS(status) : WTERMSIG(status),
                        .boottime_ns = now_ns(),
                        .user_us = microseconds(used.ru_utime),
                        .system_us = microseconds(used.ru_stime),
                        .max_rss_kib = static_cast<std::uint64_t>(used.ru_maxrss)});
  }
}

void read_signals(State& state, int signals, const Options& options) {
  signalfd_siginfo info;
  while (::read(signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;  // reap() comes in any case
    if (state.terminate_signal == 0) {
      state.terminate_signal = static_cast<std::int32_t>(info.ssi_signo);
      state.terminate_due = 1;
      state.kill_at_ns = now_ns() + options.stop_timeout_ns;
    } else if (state.killed == 0) {
      state.kill_at_ns = now_ns();
    }
  }
}

void kill_all(State& state) {
  say("what is left is killed: starts running", state.counts.running);
  state.killed = 1;
  state.restart_at_ns = 0;
  if (state.supervisor_pid != 0) (void)::kill(state.supervisor_pid, SIGKILL);
  for (std::uint32_t i = 0; i < state.starts_end; ++i)
    if (state.starts[i].state == StartState::running)
      (void)::syscall(SYS_pidfd_send_signal, state.starts[i].pidfd, SIGKILL, nullptr, 0);
}

// --- time ---

bool passed(std::uint64_t moment_ns, std::uint64_t now) {
  return moment_ns != 0 && moment_ns <= now;
}

void keep_time(State& state, const Options& options) {
  const std::uint64_t now = now_ns();
  if (state.stopping != 0 && state.kill_at_ns == 0) state.kill_at_ns = now + options.stop_timeout_ns;
  if (passed(state.ping_at_ns, now)) {
    if (state.unanswered >= missed_pings) {
      state.ping_at_ns = 0;
      if (state.stopping == 0) (void)::kill(state.supervisor_pid, SIGKILL);  // not yet reaped, so still this one
    } else {
      ++state.unanswered;
      state.ping_due = 1;
      state.ping_at_ns = now + options.ping_interval_ns;
    }
  }
  if (state.killed == 0 && passed(state.kill_at_ns, now)) {
    kill_all(state);
    state.kill_at_ns = now + 5 * second_ns;  // a process in an uninterruptible call may never die
  }
  if (passed(state.restart_at_ns, now)) start_supervisor(state, options);
}

/// Milliseconds until the next moment that keep_time() waits for, rounded up; -1: none.
int until_next(const State& state) {
  const std::uint64_t now = now_ns();
  std::uint64_t next = ~std::uint64_t{0};
  for (const std::uint64_t moment : {state.ping_at_ns, state.kill_at_ns, state.restart_at_ns})
    if (moment != 0 && moment < next) next = moment;
  if (next == ~std::uint64_t{0}) return -1;
  const std::uint64_t ms = next <= now ? 0 : (next - now + 999'999) / 1'000'000;
  return static_cast<int>(ms < 3'600'000 ? ms : 3'600'000);
}

bool is_over(const State& state) {
  if (state.killed != 0 && passed(state.kill_at_ns, now_ns())) return true;
  const bool ending = state.stopping != 0 || state.killed != 0 || state.terminate_signal != 0;
  return ending && state.supervisor_pid == 0 && state.counts.running == 0;
}

}  // namespace

int run(State& state, int signals, const Options& options) {
  if (state.supervisor_pid == 0) state.restart_at_ns = now_ns();
  for (;;) {
    reap(state, options);
    talk(state);
    keep_time(state, options);
    if (is_over(state)) return state.killed != 0 ? 1 : state.exit_status;
    // A Report that found no room waits for POLLOUT; no Request is read meanwhile.
    Report report;
    int fd = -1;
    const bool speaks = next_report(state, report, fd);
    pollfd watched[] = {{.fd = signals, .events = POLLIN, .revents = 0},
                        {.fd = state.socket, .events = static_cast<short>(speaks ? POLLOUT : POLLIN), .revents = 0}};
    (void)::poll(watched, 2, until_next(state));
    read_signals(state, signals, options);
  }
}

void say(const char* text, long number) {
  char line[160] = "orlop-init: ";
  std::size_t length = strlen(line);
  const auto put = [&](char c) {
    if (length < sizeof line - 1) line[length++] = c;
  };
  for (; *text != '\0'; ++text) put(*text);
  if (number >= 0) {
    char digits[20];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    put(' ');
    while (count > 0) put(digits[--count]);
  }
  line[length++] = '\n';
  // A standard error that nobody reads must not stop the guardian; a pipe with room takes a line this short whole.
  if (::send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK) return;
  pollfd writable = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT) != 0) (void)!::write(STDERR_FILENO, line, length);
}

}  // namespace orlop::guardian
