// What the core is told. The executor reports each once it knows it; late, repeated and out-of-date ones are harmless.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "supervisor/core/state.hpp"

namespace orlop::core::event {

/// The guardian has reaped the first process of a start. Sent again until it is acknowledged.
struct Exited {
  Start start = 0;
  ExitStatus exit;
  bool oom = false;             ///< the group's events say that the kernel killed for memory
  std::string oom_detail = {};  ///< `limit 64MiB, peak 64MiB`
};

/// The program of a start runs.
struct Launched {
  Start start = 0;
};
/// The launch of a start failed; nothing of it runs any more. The guardian may still report an exit of its child.
struct LaunchFailed {
  Start start = 0;
  std::string sentence;
};

/// What a new orlopd finds of one start, from the guardian's ledger and the start's pipe and group.
struct Alive {};     ///< its program runs
struct NeverRan {};  ///< its child ended at the gate, before the program
struct Found {
  Start start = 0;
  std::variant<Alive, NeverRan, LaunchFailed, Exited> what;
};

/// The first event, once: what was applied last, what the records say, what the guardian knows.
struct Recovered {
  HostWanted wanted;
  std::map<std::string, Record> records;
  /// Every start that the guardian knows, whether a record names it or not: what no record names is ended. Only those
  /// of a name whose record could not be read are left out, here and in Exited, and so are left alone.
  std::vector<Found> found;
  Start reserved = 0;  ///< as last reserved; 0 in a new state directory
  /// Names the guardian's life, such as the boot id and the guardian's start time: the same for every orlopd under one
  /// guardian, never the same for two. A record of another era is of an earlier boot or start of the service: nothing
  /// of its start runs, and none of its times holds.
  std::string era;
  bool hands_off = false;
};

/// A host file was accepted, and is kept on disk already.
struct Applied {
  HostWanted wanted;
};

enum class Ask : std::uint8_t { start, stop, restart, kill };
/// An operator asks for one container. Refused is the answer that says no; none: it is accepted.
struct Asked {
  Ask ask = Ask::start;
  std::string name;
  int signal = 9;  ///< of a kill
};
/// Stop everything, in reverse order; ShutdownDone answers.
struct ShutdownAsked {};

/// Answers to Reserve.
struct Reserved {
  Start up_to = 0;
};
struct ReserveFailed {
  Start up_to = 0;
  std::string sentence;
};
/// Answers to Persist.
struct Persisted {
  std::string name;
  std::uint64_t revision = 0;
};
struct PersistFailed {
  std::string name;
  std::uint64_t revision = 0;
  std::string sentence;
};

/// The kernel killed for memory inside the group of a start that is not known to have ended.
struct OomSeen {
  Start start = 0;
  std::string detail;
};
/// A probe came to an end by itself.
struct Probed {
  Start start = 0;
  std::uint64_t probe = 0;
  bool ok = false;
  std::string output = {};
};

/// Answers to Cleanup.
struct Cleaned {
  Start start = 0;
};
struct CleanupFailed {
  Start start = 0;
  std::string sentence;
};

/// The timer of WakeAt. Too early or once too often does no harm.
struct Tick {};

}  // namespace orlop::core::event

namespace orlop::core {

using Event =
    std::variant<event::Recovered, event::Applied, event::Asked, event::ShutdownAsked, event::Reserved,
                 event::ReserveFailed, event::Persisted, event::PersistFailed, event::Launched, event::LaunchFailed,
                 event::Exited, event::OomSeen, event::Probed, event::Cleaned, event::CleanupFailed, event::Tick>;

}  // namespace orlop::core
