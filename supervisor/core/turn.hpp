// One decision under way: the state, the moment, and the effects so far. Private to the core; the events (decide.cpp,
// recover.cpp) and the settling of wishes (settle.cpp) are written with it.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "supervisor/core/effect.hpp"
#include "supervisor/core/event.hpp"
#include "supervisor/core/state.hpp"

namespace orlop::core {

struct Turn {
  using Entry = std::pair<const std::string, Container>;

  State& state;
  const BootTime now;
  Effects effects = {};
  std::set<std::string> writes = {};  ///< containers whose record changed: one Persist each at the end

  void emit(Effect effect) { effects.push_back(std::move(effect)); }
  /// The record of `entry` is written at the end of this turn.
  void write(Entry& entry, Durability durability = Durability::until_reboot);
  /// The container whose current or last start is `start`; nullptr: none.
  [[nodiscard]] Entry* find(Start start) const;

  /// The only place where a phase changes: looks up the table, announces, and drops what belonged to the old phase.
  /// false: refused, and said so.
  bool move(Entry& entry, Step step, const Reason& reason, std::optional<ExitStatus> exit = std::nullopt);
  void refuse(const Entry& entry, Step step);

  /// Takes the operator's word for it, durably.
  void wish(Entry& entry, Wish wish);
  /// It is asked for anew: earlier failures are forgotten.
  static void forgive(Record& record);
  /// Gives it the next start number and has it recorded.
  void prepare(Entry& entry);
  /// Tells a starting or running container to end.
  void begin_stop(Entry& entry, Step step, const Reason& reason);
  /// The current start is over: by `reason`, unless it was being stopped for another.
  void end(Entry& entry, Step step, Reason reason, std::optional<ExitStatus> exit = std::nullopt);
  /// The ended start is put away: what now?
  void put_away(Entry& entry);
  /// Removes a container of which nothing is left, and of which everything is on disk: a record that still called it
  /// running would be taken for one that was lost.
  void forget(Entry& entry, const Reason& reason);
  /// A probe failed or took too long.
  void probe_failed(Entry& entry, std::string output);
};

void recover(Turn& turn, const event::Recovered& recovered);
void on(Turn& turn, const event::Exited& event);
void on(Turn& turn, const event::LaunchFailed& event);

/// After every event: what has become due, then what is wanted and possible, until nothing moves; then writes and
/// timer.
void settle(Turn& turn);

}  // namespace orlop::core
