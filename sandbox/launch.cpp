#include "sandbox/launch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::sandbox {
namespace {

/// Puts the calling thread, or what it clones, into other namespaces while it lives.
class Within {
 public:
  /// `own` is the thread's own namespace, to come back to. Nothing to enter: nothing happens.
  static Result<Within> enter(const UniqueFd& where, int type, const char* own) {
    if (!where) return Within(UniqueFd{}, type);
    Result<UniqueFd> home = sys::open(own, O_RDONLY);
    if (!home) return fail(std::move(home), "cannot remember an own namespace");
    if (Result<void> entered = sys::setns(where, type); !entered)
      return fail(std::move(entered), "cannot enter the container's namespace");
    return Within(std::move(*home), type);
  }
  Within(Within&&) noexcept = default;
  Within& operator=(Within&&) = delete;
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;
  ~Within() {
    // Going on as a part of a container would be worse than ending: the guardian starts a new supervisor.
    if (home_ && ::setns(home_.get(), type_) != 0) std::abort();
  }

 private:
  Within(UniqueFd home, int type) : home_(std::move(home)), type_(type) {}
  UniqueFd home_;
  int type_;
};

// /proc/PID through a directory that was open while the process was alive: a reused pid is never written to.
Result<UniqueFd> open_process(pid_t pid, BorrowedFd pidfd) {
  Result<UniqueFd> directory = sys::open(fmt::format("/proc/{}", pid), O_RDONLY | O_DIRECTORY);
  if (!directory) return fail(std::move(directory), "the new process is gone");
  if (Result<void> alive = sys::pidfd_send_signal(pidfd, 0); !alive)
    return fail(std::move(alive), "the new process is gone");
  return directory;
}

Result<void> write_id_maps(const Launched& child, std::uint32_t first_id) {
  Result<UniqueFd> process = open_process(child.pid, child.pidfd);
  if (!process) return pass(std::move(process));
  const std::string map = fmt::format("0 {} 65536\n", first_id);
  for (const char* name : {"uid_map", "gid_map"}) {
    Result<UniqueFd> file = sys::open_beneath(*process, name, O_WRONLY);
    if (!file) return fail(std::move(file), "cannot map ids");
    if (Result<void> written = write_all(*file, map); !written)
      return fail(std::move(written), fmt::format("cannot write {}", name));
  }
  return {};
}

std::string remedy_of(const StepFailure& failure) {
  if (static_cast<Op>(failure.op) == Op::execute) {
    if (failure.errno_value == ENOENT)
      return "the image has no such program, or its interpreter is missing: check `command`, `entrypoint` and PATH";
    if (failure.errno_value == EACCES)
      return "the program is not executable for the container's user, or lies on a noexec mount";
    if (failure.errno_value == ENOEXEC)
      return "the program is neither a binary for this machine nor a script with a #! line";
  }
  if (failure.errno_value == ELOOP) return "a link stands in the path of the mount target; name the place it leads to";
  if (static_cast<Op>(failure.op) == Op::change_directory)
    return "the image has no such directory, or the container's user may not enter it: check `workdir`";
  return {};
}

}  // namespace

Result<Launched> launch(Plan& plan, Parentage parentage) {
  Launched child;
  int pidfd = -1;
  ::clone_args arguments{};
  const bool guarded = parentage == Parentage::of_callers_parent;
  arguments.flags =
      plan.clone_flags | CLONE_PIDFD | (guarded ? CLONE_PARENT : 0U) | (plan.resources.cgroup ? CLONE_INTO_CGROUP : 0U);
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = guarded ? 0 : SIGCHLD;
  arguments.cgroup = plan.resources.cgroup ? static_cast<std::uint64_t>(plan.resources.cgroup.get()) : 0U;
  {
    const Result<Within> network = Within::enter(plan.resources.network, CLONE_NEWNET, "/proc/thread-self/ns/net");
    if (!network) return std::unexpected(network.error());
    const Result<Within> processes =
        Within::enter(plan.resources.joined, CLONE_NEWPID, "/proc/thread-self/ns/pid_for_children");
    if (!processes) return std::unexpected(processes.error());
    const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) walk(plan);
    if (pid < 0) return fail_errno(errno, "clone3", "cannot make the process");
    child.pid = static_cast<pid_t>(pid);
  }
  child.pidfd.reset(pidfd);
  child.gate = std::move(plan.gate.write);
  child.report = std::move(plan.report.read);
  plan.gate.read.reset();
  plan.report.write.reset();
  if (plan.resources.joined) return child;
  if (Result<void> mapped = write_id_maps(child, plan.first_id); !mapped) return pass(std::move(mapped));
  return child;
}

Result<void> release(BorrowedFd gate) {
  return write_all(gate, "g");
}

Result<std::optional<StepFailure>> read_report(BorrowedFd report) {
  StepFailure failure;
  ssize_t count = -1;
  do count = ::read(report.get(), &failure, sizeof failure);
  while (count < 0 && errno == EINTR);
  if (count == 0) return std::optional<StepFailure>{};
  if (count < 0) return fail_errno(errno, "read", "cannot read the report of a start");
  if (count != sizeof failure) return fail(ErrorKind::corrupt, "the report of a start is cut short");
  return std::optional(failure);
}

Error explain(const StepFailure& failure, const Plan* plan) {
  const bool known = plan != nullptr && failure.step < plan->steps.size();
  Error error = fail_errno(failure.errno_value, "", "").error();
  error.call = "start";
  error.chain = {fmt::format("cannot {}", known ? print(*plan, plan->steps[failure.step])
                                                : std::string(to_string(static_cast<Op>(failure.op))))};
  error.remedy = remedy_of(failure);
  return error;
}

}  // namespace orlop::sandbox
