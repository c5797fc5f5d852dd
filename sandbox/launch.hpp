// The parent's side of a launch: clone3, the id maps, and what the child's report means.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "sandbox/child.hpp"
#include "sandbox/plan.hpp"

namespace orlop::sandbox {

/// Whose child the new process is.
enum class Parentage : std::uint8_t {
  of_caller,         ///< exits are the caller's to wait for
  of_callers_parent  ///< CLONE_PARENT: they are the guardian's, whatever happens to the caller
};

/// A process that stands at its gate: it has its namespaces, ids and group, and runs nothing of the payload.
struct Launched {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd gate;    ///< one byte lets it go on; closed without one, it exits
  UniqueFd report;  ///< readable when it has become the payload (end of file) or could not (a StepFailure)
};

/// Clones the child of `plan` and writes its id maps. The calling thread is meanwhile in the namespaces that the child
/// is to be born into, the plan's network namespace or for a join the container's pid namespace, and back afterwards.
/// On failure nothing is left behind but a child that ends by itself. Source: clone(2), user_namespaces(7).
Result<Launched> launch(Plan& plan, Parentage parentage);

/// Opens the gate. kernel/EPIPE when the child is gone.
Result<void> release(BorrowedFd gate);

/// Reads the report once it is readable: nothing when the child has become the payload.
Result<std::optional<StepFailure>> read_report(BorrowedFd report);

/// What the operator reads of a failed step. `plan` may be null when it is gone (after a crash of the supervisor).
Error explain(const StepFailure& failure, const Plan* plan);

}  // namespace orlop::sandbox
