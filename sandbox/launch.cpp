#include "sandbox/launch.hpp"

#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/file.hpp"
#include "base/namespace.hpp"
#include "sandbox/id_range.hpp"

namespace orlop::sandbox {
namespace {

/// Enters `where`; nothing to enter: nothing happens.
Result<std::optional<sys::WithinNamespace>> enter(const UniqueFd& where, int type) {
  std::optional<sys::WithinNamespace> stay;
  if (!where) return stay;
  Result<sys::WithinNamespace> entered = sys::WithinNamespace::enter(where, type);
  if (!entered) return fail(std::move(entered), "cannot enter the container's namespace");
  stay.emplace(std::move(*entered));
  return stay;
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
    const Result<std::optional<sys::WithinNamespace>> network = enter(plan.resources.network, CLONE_NEWNET);
    if (!network) return std::unexpected(network.error());
    const Result<std::optional<sys::WithinNamespace>> processes = enter(plan.resources.joined, CLONE_NEWPID);
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
  if (Result<UniqueFd> mapped = map_ids(child.pid, child.pidfd, {plan.first_id}); !mapped)
    return pass(std::move(mapped));
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
