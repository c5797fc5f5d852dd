// All that orlopd knows when it decides. `Record` is what a successor reads from disk; the rest is found again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "supervisor/core/life.hpp"
#include "supervisor/core/reason.hpp"
#include "supervisor/core/wanted.hpp"

namespace orlop::core {

/// The number of one start of one container: unique for the state directory, rising, never used again. 0: none.
using Start = std::uint64_t;

/// The operator's last word. A host file that names the container says `run`.
enum class Wish : std::uint8_t { run, stop };
std::string_view to_string(Wish wish);

/// What is written of a container before what it allows is done. Times are of the boot clock and mean nothing in
/// another era.
struct Record {
  Wish wish = Wish::run;
  Phase phase = Phase::gone;
  BootTime since;                   ///< when it came into this phase
  Start start = 0;                  ///< the current or last start
  Wanted launched;                  ///< what that start was made from
  std::optional<BootTime> began;    ///< when its program began to run
  Why cause = Why::none;            ///< stopping: why; later: what decides whether it comes again
  Reason reason;                    ///< for people: why it is stopping, ended last, failed or waits
  std::optional<ExitStatus> exit;   ///< of the last start that ended and whose end was seen
  bool done = false;                ///< a task that has ended with 0
  bool again = false;               ///< it is to be started afresh whatever its policy says
  std::uint64_t restarts = 0;       ///< by its policy, since an operator or a host file last asked for it
  std::uint32_t failures = 0;       ///< restarts in a row without a run of backoff_max
  std::vector<BootTime> recent;     ///< restarts within the window of the limit
  std::optional<BootTime> wake_at;  ///< backoff: when it is over
  std::string era;                  ///< the guardian's life in which this was written (event::Recovered)
  friend bool operator==(const Record&, const Record&) = default;
};

/// One container as orlopd holds it.
struct Container {
  std::optional<Wanted> wanted;  ///< nothing: it is being removed
  Record record;

  // How far the disk has followed. A record is safe when `written` has reached `revision`.
  std::uint64_t revision = 0;                        ///< of the last Persist
  std::uint64_t written = 0;                         ///< of the last Persisted
  Durability durability = Durability::until_reboot;  ///< of the writes up to the next that succeeds
  std::optional<BootTime> rewrite_at;                ///< a write failed and is tried again then
  std::vector<Start> unacknowledged;                 ///< ended; the guardian may forget them once the record is safe

  Health health = Health::none;
  std::uint32_t probe_failures = 0;  ///< in a row
  std::uint64_t probe = 0;           ///< number of the last probe
  bool probing = false;
  std::optional<BootTime> probe_at;  ///< the next probe; while probing: when it has taken too long
  std::string probe_output;          ///< of the last probe

  std::optional<BootTime> deadline;  ///< stopping: kill; exited: clean up again
  std::string waits_for;             ///< pending: the container or thing it waits for
  std::string trouble;               ///< what the host refuses and is tried again; empty when all is well
};

/// Is it up for those that depend on it: wished for and running, and healthy if it has a check; a task: done.
bool is_ready(const Container& container);

enum class Shutdown : std::uint8_t { no, asked, done };

/// Everything. Made by the Recovered event; a value, so that tests can copy and compare what they like.
struct State {
  std::map<std::string, Container> containers = {};
  std::string era = {};
  bool hands_off = false;  ///< adopt and report; start nothing until an operator asks for it
  Shutdown shutdown = Shutdown::no;
  std::uint64_t last_revision = 0;  ///< of all records, so that a late answer fits no later container of that name
  Start last_start = 0;             ///< handed out
  Start reserved = 0;               ///< numbers up to this one may be handed out: the disk knows
  Start reserving = 0;              ///< asked of the disk
  std::optional<BootTime> reserve_at = {};  ///< a reservation failed and is tried again then
  std::optional<BootTime> wake_at = {};     ///< what the executor's one timer is set to
};

}  // namespace orlop::core
