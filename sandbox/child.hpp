// The child's side of a launch: async-signal-safe system calls from a Plan, nothing else. No allocation, no lock, no
// exception, no logging (signal-safety(7)): the supervisor that it was copied from has a second thread, whose locks are
// copied in whatever state they were. The raw setuid family is used for the same reason: glibc's would signal threads
// that do not exist here.
#pragma once

#include <cstdint>

#include "sandbox/plan.hpp"

namespace orlop::sandbox {

/// What the child reports when a step fails; the parent turns it into a sentence.
struct StepFailure {
  std::uint32_t step = 0;  ///< index into Plan::steps
  std::uint32_t op = 0;    ///< the Op, for a supervisor that no longer has the Plan
  std::int32_t errno_value = 0;
};

/// Exit status of a child that could not become the payload.
inline constexpr int exit_not_started = 127;

/// Walks the plan's steps and becomes the payload, or reports the step that failed and exits.
[[noreturn]] void walk(Plan& plan) noexcept;

}  // namespace orlop::sandbox
