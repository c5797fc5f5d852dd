// What the core wants done. The executor performs effects in the order given and reports what came of them as events;
// it decides nothing. Whatever must be on disk first waits inside the core for the event that says so, so a write may
// take its time on another thread and hold up nobody else; only writes of one name keep their order among themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/file.hpp"
#include "supervisor/core/state.hpp"

namespace orlop::core::effect {

/// Tell the audit log and the bus. A transition of the life table, or (from == to) something worth telling.
/// Given before the act it speaks of. After a crash the same (name, start, step) may be told again.
struct Announce {
  std::string name;
  Start start = 0;
  Phase from = Phase::gone;
  Phase to = Phase::gone;
  Step step = Step::want;
  Reason reason;
  std::optional<ExitStatus> exit = {};  ///< when it speaks of an exit
};

/// Write the record, whole. Answer: Persisted or PersistFailed. `power_loss`: the operator's word changed.
struct Persist {
  std::string name;
  std::uint64_t revision = 0;
  Record record;
  Durability durability = Durability::until_reboot;
};
/// Delete the record (both that of this boot and that which outlasts it).
struct Forget {
  std::string name;
};
/// Write, to outlast a power loss, that start numbers up to `up_to` may be in use. Answer: Reserved or ReserveFailed.
struct Reserve {
  Start up_to = 0;
};

/// Resolve, plan and launch. Answer: Launched or LaunchFailed. A group, log and range of it are in place before.
struct Launch {
  std::string name;
  Start start = 0;
  Sha256 digest;
};
/// Send a signal to the first process, if it is still there. No answer.
struct Signal {
  std::string name;
  Start start = 0;
  int signal = 0;
};
/// Kill every process in the group of the start, and cancel its launch if that is not done yet. No answer but the exit
/// or LaunchFailed. May come again.
struct KillGroup {
  std::string name;  ///< empty: a start that no record names
  Start start = 0;
};
/// Run the health check. Answer: Probed.
struct Probe {
  std::string name;
  Start start = 0;
  std::uint64_t probe = 0;
};
/// Kill that probe: it took too long. No answer.
struct EndProbe {
  std::string name;
  Start start = 0;
  std::uint64_t probe = 0;
};
/// Put away what is left of an ended start: remaining processes, a probe, the group, mounts, descriptors in the
/// guardian's store, the end of the log. Done already is done. Answer: Cleaned or CleanupFailed.
struct Cleanup {
  std::string name;  ///< empty: a start that no record names
  Start start = 0;
};
/// Tell the guardian that the exit of the start is recorded. For a start it does not know: nothing. No answer.
struct AckExit {
  Start start = 0;
};

/// An event that does not happen in the phase the container is in. For Asked: what the operator reads. For the others:
/// late or repeated, and of interest to a debugger only.
struct Refused {
  std::string name;
  std::string sentence;
  bool asked = false;  ///< an operator's wish, not a late report
};

/// Set the one timer; nothing: unset it.
struct WakeAt {
  std::optional<BootTime> at;
};
/// Everything is stopped.
struct ShutdownDone {};

}  // namespace orlop::core::effect

namespace orlop::core {

using Effect = std::variant<effect::Announce, effect::Persist, effect::Forget, effect::Reserve, effect::Launch,
                            effect::Signal, effect::KillGroup, effect::Probe, effect::EndProbe, effect::Cleanup,
                            effect::AckExit, effect::Refused, effect::WakeAt, effect::ShutdownDone>;
using Effects = std::vector<Effect>;

}  // namespace orlop::core
