// A new orlopd: the records of the last one against what the guardian knows.

#include "supervisor/core/turn.hpp"

namespace orlop::core {

namespace {

/// The record is of another era, so nothing runs, no deadline holds, and every wish that does not outlast a boot is the
/// host file's again.
void begin_afresh(Turn& turn, Turn::Entry& entry) {
  Container& container = entry.second;
  Record& record = container.record;
  record.since = turn.now;
  record.began.reset();
  record.wake_at.reset();
  record.recent.clear();
  record.failures = 0;
  record.restarts = 0;
  turn.write(entry);
  if (!container.wanted) return;
  if (container.wanted->restart.policy != Policy::unless_stopped) turn.wish(entry, Wish::run);
  if (container.wanted->run == Run::on_boot) record.done = false;
  const bool is_to_run = record.wish == Wish::run && !record.done;
  if (is_up(record.phase)) record.again = is_to_run;
  if (is_to_run && next(record.phase, Step::wake)) turn.move(entry, Step::wake, {Why::wanted, "a start of the host"});
}

/// A record that says its start may live, and what was found of that start.
void reconcile_start(Turn& turn, Turn::Entry& entry, const event::Found* found, bool is_of_this_era) {
  Container& container = entry.second;
  Record& record = container.record;
  if (!found) {
    if (!is_of_this_era)
      return turn.end(entry, Step::lose, {Why::lost, "it ended together with the host or the guardian"});
    if (record.phase == Phase::preparing || record.phase == Phase::starting)
      return turn.end(entry, Step::lose, {Why::never_ran, "orlopd ended first"});
    return turn.end(entry, Step::lose, {Why::lost, "the guardian knows nothing of it"});
  }
  if (std::holds_alternative<event::NeverRan>(found->what))
    return turn.end(entry, Step::lose, {Why::never_ran, "orlopd ended first"});
  if (const auto* failed = std::get_if<event::LaunchFailed>(&found->what)) return on(turn, *failed);
  if (const auto* exited = std::get_if<event::Exited>(&found->what)) return on(turn, *exited);
  const BootTime since = record.since;
  if (!turn.move(entry, Step::adopt, {Why::adopted, ""})) return;
  if (record.phase == Phase::stopping) container.deadline = since + record.launched.stop.grace;
  if (!record.began) record.began = turn.now;
}

}  // namespace

void recover(Turn& turn, const event::Recovered& recovered) {
  State& state = turn.state;
  state = {.era = recovered.era,
           .hands_off = recovered.hands_off,
           .last_start = recovered.reserved,
           .reserved = recovered.reserved};

  std::map<Start, const event::Found*> found;
  for (const event::Found& one : recovered.found) found.emplace(one.start, &one);
  for (const auto& [name, record] : recovered.records) {
    Container& container = state.containers[name];
    container.record = record;
    if (const auto wanted = recovered.wanted.find(name); wanted != recovered.wanted.end())
      container.wanted = wanted->second;
  }

  for (Turn::Entry& entry : state.containers) {
    auto& [name, container] = entry;
    const auto known = found.find(container.record.start);
    const event::Found* what = known == found.end() ? nullptr : known->second;
    if (known != found.end()) found.erase(known);
    const bool is_of_this_era = container.record.era == recovered.era;
    if (!is_of_this_era) begin_afresh(turn, entry);
    const Phase phase = container.record.phase;
    if (phase == Phase::exited) turn.emit(effect::Cleanup{name, container.record.start});
    if (is_up(phase) && phase != Phase::exited) {
      reconcile_start(turn, entry, what, is_of_this_era);
    } else if (what) {
      turn.emit(effect::AckExit{container.record.start});  // its end is recorded; the acknowledgement was lost
    }
  }

  // A host file was kept and orlopd ended before it had taken it in; or this is the first start of all.
  for (const auto& [name, wanted] : recovered.wanted) {
    const auto [place, is_new] = state.containers.try_emplace(name);
    Turn::Entry& entry = *place;
    Record& record = entry.second.record;
    if (is_new) {
      entry.second.wanted = wanted;
      record.reason = {Why::wanted, "the host file"};
      turn.move(entry, Step::want, record.reason);
    } else if (const bool is_changed = record.launched.digest != wanted.digest,
               was_to_go = record.phase == Phase::stopped && is_planned(record.cause);
               (is_changed || was_to_go) && record.wish == Wish::run && next(record.phase, Step::wake)) {
      Turn::forgive(record);
      turn.move(entry, Step::wake, {Why::wanted, "the host file"});
    }
  }

  // Starts that no record names: nobody answers for them.
  for (const auto& [start, one] : found) {
    turn.emit(effect::KillGroup{"", start});
    if (std::holds_alternative<event::Alive>(one->what)) continue;  // its exit will come
    turn.emit(effect::Cleanup{"", start});
    turn.emit(effect::AckExit{start});
  }
}

}  // namespace orlop::core
