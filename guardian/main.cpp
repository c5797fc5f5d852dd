// orlop-init [--orlopd PATH] [--ping-interval-ms N] [--stop-timeout-ms N] [ARGUMENT…]
//
// The guardian: starts orlopd (beside its own file unless PATH is given) with the ARGUMENTs, and keeps what must
// outlive it. docs/guardian.md has the whole story. This file is what happens once, before the loop: the only text it
// reads is its own argv.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "guardian/guardian.hpp"
#include "guardian/heap.hpp"
#include "guardian/ledger.hpp"

namespace orlop::guardian {

namespace {

constexpr int exit_usage = 2;

/// A whole decimal number of milliseconds, 1 to 10^9, as nanoseconds; 0: it is none.
std::uint64_t milliseconds(const char* text) {
  std::uint64_t value = 0;
  for (const char* c = text; *c != '\0'; ++c) {
    if (*c < '0' || *c > '9' || value > 100'000'000) return 0;
    value = value * 10 + static_cast<std::uint64_t>(*c - '0');
  }
  return value * 1'000'000;
}

/// Our own options come first; the first argument that is none of them begins orlopd's.
/// @return whether argv was understood
bool read_arguments(Options& options, int argc, char** argv) {
  int next = 1;
  const auto value_of = [&](const char* name) -> const char* {
    if (next + 1 >= argc || strcmp(argv[next], name) != 0) return nullptr;
    next += 2;
    return argv[next - 1];
  };
  for (;;) {
    if (const char* path = value_of("--orlopd")) {
      options.supervisor_path = path;
    } else if (const char* ping = value_of("--ping-interval-ms")) {
      if ((options.ping_interval_ns = milliseconds(ping)) == 0) return false;
    } else if (const char* stop = value_of("--stop-timeout-ms")) {
      if ((options.stop_timeout_ns = milliseconds(stop)) == 0) return false;
    } else if (next < argc && strcmp(argv[next], "--chaos") == 0) {
      options.chaos = true;
      ++next;
    } else {
      break;
    }
  }
  // orlopd's argv is the rest, with its name in place of the last argument of ours.
  options.supervisor_argv = argv + next - 1;
  static char name[] = "orlopd";
  options.supervisor_argv[0] = name;
  return true;
}

/// orlopd in the directory of our own file.
const char* neighbour() {
  static char path[4096];
  constexpr char name[] = "/orlopd";
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - sizeof name);
  if (length <= 0) return nullptr;
  path[length] = '\0';
  char* slash = strrchr(path, '/');
  memcpy(slash, name, sizeof name);
  return path;
}

/// Descriptors 0 to 2 exist, so that nothing of ours can lie there; no other is left of who started us.
void take_standard_fds_only() {
  (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
  int fd = 0;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) (void)::close(fd);
}

/// The kernel is to kill this process last, and orlopd as if we had not asked for that.
/// @return the value found, nullptr if it stays
const char* outlive_memory_pressure() {
  static char found[8];
  const int file = ::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (file < 0) return nullptr;
  const bool changed = ::read(file, found, sizeof found - 1) > 0 && ::pwrite(file, "-1000", 5, 0) == 5;
  (void)::close(file);
  return changed ? found : nullptr;  // without CAP_SYS_RESOURCE the host's choice holds
}

/// Room for six descriptors of each start, as far as the host lets us.
void raise_fd_limit() {
  constexpr rlim_t wanted = 65'536;
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (limit.rlim_max < wanted) {
    const rlimit both = {wanted, wanted};
    if (::setrlimit(RLIMIT_NOFILE, &both) == 0) return;
  }
  limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Lays every capability down but CAP_KILL, which signals containers of other users. They stay permitted: who starts
/// orlopd with all of them cannot give them up, and one that orlopd regained by execve would cost it PR_SET_PDEATHSIG
/// (prctl(2)). So this guards against our own mistakes, not against an attacker inside.
void lay_down_capabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return;
  data[0].effective &= 1U << CAP_KILL;
  data[1].effective = 0;
  data[0].inheritable = data[1].inheritable = 0;
  (void)::syscall(SYS_capset, &header, data);  // lowering cannot fail
}

State* make_state() {
  const int memory = ::memfd_create("orlop-guardian", MFD_CLOEXEC);
  if (memory < 0 || ::ftruncate(memory, sizeof(State)) != 0) return nullptr;
  void* mapped = ::mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED) return nullptr;
  State* state = static_cast<State*>(mapped);  // zero bytes are a State: plain integers
  begin(*state);
  return state;
}

/// Blocks every signal but those that report a mistake of our own, so that only SIGKILL ends us; by the system call,
/// because libc leaves two real-time signals of its own unblocked.
/// @return a signalfd of those we act on, or -1
int take_signals() {
  std::uint64_t blocked = ~std::uint64_t{0};
  for (const int mistake : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
    blocked &= ~(std::uint64_t{1} << (mistake - 1));
  if (::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, nullptr, sizeof blocked) != 0) return -1;
  (void)::signal(SIGCHLD, SIG_DFL);  // ignored, it would have the kernel reap
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&watched, signal);
  return ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

}  // namespace orlop::guardian

int main(int argc, char** argv) {
  using namespace orlop::guardian;
  close_heap();
  take_standard_fds_only();
  Options options;
  if (argc < 1 || !read_arguments(options, argc, argv)) {
    say("usage: orlop-init [--orlopd PATH] [--ping-interval-ms N] [--stop-timeout-ms N] [--chaos] [ARGUMENT...]");
    return exit_usage;
  }
  if (options.supervisor_path == nullptr) options.supervisor_path = neighbour();
  if (options.supervisor_path == nullptr) {
    say("cannot find orlopd: /proc/self/exe: errno", errno);
    return exit_usage;
  }
  options.oom_score_adj = outlive_memory_pressure();
  raise_fd_limit();
  lay_down_capabilities();
  (void)::prctl(PR_SET_DUMPABLE, 0);
  const int signals = take_signals();
  State* state = make_state();
  if (signals < 0 || state == nullptr || ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    say("cannot start: errno", errno);
    return 1;
  }
  return run(*state, signals, options);
}
