#include "supervisor/core/decide.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "supervisor/core/plan.hpp"
#include "supervisor/core/turn.hpp"

namespace orlop::core {

namespace {

void refuse_late(Turn& turn, std::string_view what, Start start) {
  turn.emit(effect::Refused{"", fmt::format("{} of start {}: no container is at that start", what, start)});
}

void refuse_asked(Turn& turn, const std::string& name, std::string sentence) {
  turn.emit(effect::Refused{name, std::move(sentence), true});
}

/// Brings a container at rest back to where it waits for its start.
void wake(Turn& turn, Turn::Entry& entry, const Reason& reason) {
  Turn::forgive(entry.second.record);
  turn.move(entry, Step::wake, reason);
}

bool is_at_rest(Phase phase) {
  return phase == Phase::backoff || phase == Phase::stopped || phase == Phase::failed;
}

}  // namespace

// --- what operators ask for ---

static void on(Turn& turn, const event::Recovered& event) {
  recover(turn, event);
}

static void on(Turn& turn, const event::Applied& event) {
  if (turn.state.shutdown != Shutdown::no) return refuse_asked(turn, "", "orlop is shutting down");
  turn.state.hands_off = false;
  for (auto& [name, container] : turn.state.containers)
    if (!event.wanted.contains(name)) container.wanted.reset();  // settle() takes it from there
  for (const auto& [name, wanted] : event.wanted) {
    const bool is_new = !turn.state.containers.contains(name);
    Turn::Entry& entry = *turn.state.containers.try_emplace(name).first;
    const Planned planned = plan(name, is_new ? nullptr : &entry.second, &wanted);
    entry.second.wanted = wanted;
    turn.wish(entry, Wish::run);
    if (planned.action == Action::keep) continue;
    if (is_new) {
      entry.second.record.reason = {Why::wanted, "the host file"};
      turn.move(entry, Step::want, entry.second.record.reason);
    } else if (is_at_rest(entry.second.record.phase)) {
      wake(turn, entry, {Why::wanted, "the host file"});
    }
  }
}

static void on(Turn& turn, const event::Asked& event) {
  const auto found = turn.state.containers.find(event.name);
  if (found == turn.state.containers.end())
    return refuse_asked(turn, event.name, fmt::format("there is no container '{}'", event.name));
  Turn::Entry& entry = *found;
  Record& record = entry.second.record;
  switch (event.ask) {
    case event::Ask::start:
    case event::Ask::restart:
      if (turn.state.shutdown != Shutdown::no) return refuse_asked(turn, event.name, "orlop is shutting down");
      if (!entry.second.wanted)
        return refuse_asked(turn, event.name,
                            fmt::format("container '{}' is being removed: no host file names it", event.name));
      turn.state.hands_off = false;
      turn.wish(entry, Wish::run);
      if (is_at_rest(record.phase)) {
        wake(turn, entry, {Why::wanted, "operator"});
      } else if (event.ask == event::Ask::restart && is_up(record.phase) && record.phase != Phase::preparing) {
        record.again = true;
        turn.write(entry);
      }
      return;
    case event::Ask::stop:
      turn.wish(entry, Wish::stop);
      return;
    case event::Ask::kill:
      if (!next(record.phase, Step::signal))
        return refuse_asked(
            turn, event.name,
            fmt::format("container '{}' is {}: it has no process to signal", event.name, to_string(record.phase)));
      turn.move(entry, Step::signal, {Why::signalled, signal_name(event.signal)});
      turn.emit(effect::Signal{event.name, record.start, event.signal});
      return;
  }
}

static void on(Turn& turn, const event::ShutdownAsked&) {
  if (turn.state.shutdown == Shutdown::no) turn.state.shutdown = Shutdown::asked;
}

// --- what the disk answers ---

static void on(Turn& turn, const event::Reserved& event) {
  turn.state.reserved = std::max(turn.state.reserved, event.up_to);
  turn.state.reserve_at.reset();
}

static void on(Turn& turn, const event::ReserveFailed& event) {
  if (event.up_to > turn.state.reserved) turn.state.reserve_at = turn.now + retry_delay;
}

static void on(Turn& turn, const event::Persisted& event) {
  const auto found = turn.state.containers.find(event.name);
  if (found == turn.state.containers.end()) return;  // removed meanwhile
  Turn::Entry& entry = *found;
  Container& container = entry.second;
  container.written = std::max(container.written, std::min(event.revision, container.revision));
  if (container.written != container.revision) return;  // a later one counts
  container.durability = Durability::until_reboot;
  container.rewrite_at.reset();
  container.trouble.clear();
  for (const Start start : std::exchange(container.unacknowledged, {})) turn.emit(effect::AckExit{start});
  if (container.record.phase != Phase::preparing) return;
  turn.move(entry, Step::recorded, container.record.reason);
  turn.emit(effect::Launch{event.name, container.record.start, container.record.launched.digest});
}

static void on(Turn& turn, const event::PersistFailed& event) {
  const auto found = turn.state.containers.find(event.name);
  if (found == turn.state.containers.end()) return;  // removed meanwhile
  Container& container = found->second;
  if (event.revision != container.revision || container.written == container.revision) return;  // a later one counts
  container.rewrite_at = turn.now + retry_delay;
  if (container.trouble.empty()) turn.move(*found, Step::not_recorded, {Why::trouble, event.sentence});
  container.trouble = event.sentence;
}

// --- what becomes of a start ---

static void on(Turn& turn, const event::Launched& event) {
  Turn::Entry* entry = turn.find(event.start);
  if (!entry) return refuse_late(turn, "launch", event.start);
  auto& [name, container] = *entry;
  const bool was_told = container.record.phase == Phase::stopping;
  if (was_told && container.record.began) return turn.refuse(*entry, Step::launched);
  if (!turn.move(*entry, Step::launched, {Why::started, ""})) return;
  container.record.began = turn.now;
  turn.write(*entry);
  // Stopped while it was being launched: the kill of then may have come before there was anything to kill.
  if (was_told) turn.emit(effect::KillGroup{name, event.start});
}

void on(Turn& turn, const event::LaunchFailed& event) {
  Turn::Entry* entry = turn.find(event.start);
  if (!entry) return refuse_late(turn, "failed launch", event.start);
  turn.end(*entry, Step::launch_failed, {Why::cannot_start, event.sentence});
}

void on(Turn& turn, const event::Exited& event) {
  for (const auto& [name, container] : turn.state.containers)
    if (std::ranges::find(container.unacknowledged, event.start) != container.unacknowledged.end())
      return;  // told again; acknowledged as soon as the record is safe
  Turn::Entry* entry = turn.find(event.start);
  if (!entry) {
    // No record names it: its container is gone or further on, and an acknowledgement was lost.
    turn.emit(effect::Cleanup{"", event.start});
    turn.emit(effect::AckExit{event.start});
    return;
  }
  if (!next(entry->second.record.phase, Step::exit)) {  // told again, and recorded
    turn.emit(effect::AckExit{event.start});
    return;
  }
  const bool ran_out = event.oom && event.exit != ExitStatus{};
  turn.end(*entry, Step::exit, ran_out ? Reason{Why::oom, event.oom_detail} : reason_of(event.exit), event.exit);
}

static void on(Turn& turn, const event::OomSeen& event) {
  Turn::Entry* entry = turn.find(event.start);
  if (!entry) return refuse_late(turn, "memory event", event.start);
  turn.begin_stop(*entry, Step::run_out, {Why::oom, event.detail});
}

static void on(Turn& turn, const event::Probed& event) {
  Turn::Entry* entry = turn.find(event.start);
  if (!entry) return refuse_late(turn, "probe", event.start);
  Container& container = entry->second;
  if (!container.probing || container.probe != event.probe) return turn.refuse(*entry, Step::recover);
  if (!event.ok) return turn.probe_failed(*entry, event.output);
  container.probing = false;
  container.probe_output = event.output;
  container.probe_failures = 0;
  container.probe_at = turn.now + container.record.launched.health->interval;
  if (container.health != Health::healthy) turn.move(*entry, Step::recover, {Why::healthy, ""});
  container.health = Health::healthy;
}

static void on(Turn& turn, const event::Cleaned& event) {
  Turn::Entry* entry = turn.find(event.start);
  if (!entry || entry->second.record.phase != Phase::exited) return refuse_late(turn, "clearing up", event.start);
  turn.put_away(*entry);
}

static void on(Turn& turn, const event::CleanupFailed& event) {
  Turn::Entry* entry = turn.find(event.start);
  if (!entry || entry->second.record.phase != Phase::exited) return refuse_late(turn, "clearing up", event.start);
  Container& container = entry->second;
  container.deadline = turn.now + retry_delay;
  if (container.trouble.empty()) turn.move(*entry, Step::cleanup_failed, {Why::trouble, event.sentence});
  container.trouble = event.sentence;
}

static void on(Turn& turn, const event::Tick&) {
  turn.state.wake_at.reset();  // it has gone off, rightly or not: settle() sets it again
}

Effects decide(State& state, const Event& event, BootTime now) {
  Turn turn{.state = state, .now = now};
  std::visit([&](const auto& one) { on(turn, one); }, event);
  settle(turn);
  return std::move(turn.effects);
}

}  // namespace orlop::core
