// orlop-reaper PROGRAM [ARGUMENT…]: PID 1 of a container with `init = true`.
//
// Runs PROGRAM as its child in the same session, hands every signal on to it, reaps whatever orphans come, and exits as
// the child did: its status, or 128 + the signal's number. The kernel then ends what is left in the pid namespace.
// PROGRAM without a slash is looked for in PATH; 127 when it is not found, 126 when it cannot be executed.
//
// Freestanding, so that it is a few KiB in each container: no libc, no allocation, no path of its own (it may be
// executed by descriptor). It keeps all signals blocked and takes them one by one, so that there is no handler and no
// race. Blocked signals reach even PID 1, to which the kernel otherwise delivers none that is not handled.
#include <asm/unistd.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstddef>
#include <cstdint>

namespace {

constexpr int exit_usage = 125;
constexpr int exit_cannot_execute = 126;
constexpr int exit_not_found = 127;

#if defined(__x86_64__)
long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  // NOLINTBEGIN(misc-const-correctness): the instruction's operands
  long result = number;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  // NOLINTEND(misc-const-correctness)
  asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return result;
}
// The kernel enters with argc, argv and the environment on the stack, which calls want aligned to 16.
asm(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call reap\n");
#elif defined(__aarch64__)
long system_call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
asm(".globl _start\n_start:\n  mov x29, #0\n  mov x0, sp\n  bl reap\n");
#else
#error "orlop-reaper has no system call for this architecture"
#endif

long address(const void* pointer) {
  return reinterpret_cast<long>(pointer);
}

[[noreturn]] void leave(int status) {
  for (;;) system_call(__NR_exit_group, status);
}

std::size_t length(const char* text) {
  std::size_t n = 0;
  while (text[n] != '\0') ++n;
  return n;
}

void say(const char* text) {
  system_call(__NR_write, 2, address(text), static_cast<long>(length(text)));
}

bool has_slash(const char* text) {
  for (; *text != '\0'; ++text)
    if (*text == '/') return true;
  return false;
}

/// The value of PATH, or what execvp(3) takes without one.
const char* search_path(char** environment) {
  for (; *environment != nullptr; ++environment) {
    const char* e = *environment;
    if (e[0] == 'P' && e[1] == 'A' && e[2] == 'T' && e[3] == 'H' && e[4] == '=') return e + 5;
  }
  return "/bin:/usr/bin";
}

/// Writes `directory`/`name` into `path`; an empty directory is the working directory. false: too long.
template <std::size_t size>
bool join(char (&path)[size], const char* directory, std::size_t directory_length, const char* name) {
  const std::size_t name_length = length(name);
  if (directory_length + name_length + 3 > size) return false;
  std::size_t n = 0;
  if (directory_length == 0) path[n++] = '.';
  for (std::size_t i = 0; i < directory_length; ++i) path[n++] = directory[i];
  path[n++] = '/';
  for (std::size_t i = 0; i <= name_length; ++i) path[n++] = name[i];
  return true;
}

/// Executes argv[0]; returns only with the errno of the failure that tells most: of several, EACCES.
long execute(char** argv, char** environment) {
  if (has_slash(argv[0])) return -system_call(__NR_execve, address(argv[0]), address(argv), address(environment));
  long error = ENOENT;
  char path[4096];
  for (const char* directory = search_path(environment);; ++directory) {
    std::size_t n = 0;
    while (directory[n] != '\0' && directory[n] != ':') ++n;
    if (join(path, directory, n, argv[0])) {
      const long failure = -system_call(__NR_execve, address(path), address(argv), address(environment));
      if (failure == EACCES)
        error = EACCES;
      else if (failure != ENOENT && failure != ENOTDIR)
        return failure;
    }
    directory += n;
    if (*directory == '\0') return error;
  }
}

/// Reaps all children that are dead; leaves when `child` is among them.
void reap_dead(long child) {
  int status = 0;
  for (long pid = 0; (pid = system_call(__NR_wait4, -1, address(&status), WNOHANG | __WALL)) > 0;)
    if (pid == child) leave(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

}  // namespace

extern "C" [[noreturn]] void reap(long* stack) {
  const long argc = stack[0];
  char** argv = reinterpret_cast<char**>(stack + 1);
  char** environment = argv + argc + 1;
  if (argc < 2) {
    say("usage: orlop-reaper PROGRAM [ARGUMENT...]\n");
    leave(exit_usage);
  }
  const std::uint64_t all = ~std::uint64_t{0};  // KILL and STOP stay free whatever the mask says
  std::uint64_t inherited = 0;
  system_call(__NR_rt_sigprocmask, SIG_SETMASK, address(&all), address(&inherited), sizeof all);
  // Not needed as PID 1; it makes the same true of a reaper in the pid namespace of others.
  system_call(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1);
  const long child = system_call(__NR_clone, SIGCHLD);
  if (child < 0) {
    say("orlop-reaper: cannot fork\n");
    leave(exit_usage);
  }
  if (child == 0) {
    system_call(__NR_rt_sigprocmask, SIG_SETMASK, address(&inherited), 0, sizeof inherited);
    const long error = execute(argv + 1, environment);
    say("orlop-reaper: cannot execute ");
    say(argv[1]);
    say(error == ENOENT ? ": not found\n" : error == EACCES ? ": permission denied\n" : ": not executable here\n");
    leave(error == ENOENT ? exit_not_found : exit_cannot_execute);
  }
  for (;;) {
    siginfo_t info;
    const long signal = system_call(__NR_rt_sigtimedwait, address(&all), address(&info), 0, sizeof all);
    if (signal == SIGCHLD) reap_dead(child);
    // What a terminal sends to its foreground group (SI_KERNEL), the child has got already.
    else if (signal > 0 && info.si_code != SI_KERNEL)  // NOLINT(clang-analyzer-core*): the kernel has filled it
      system_call(__NR_kill, child, signal);
  }
}
