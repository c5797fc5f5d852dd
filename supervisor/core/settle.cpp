// After every event: deadlines that have passed, then wishes against what is, until nothing moves. Everything here is
// derived from the state alone, so that a successor that knows the same comes to the same.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "supervisor/core/decide.hpp"
#include "supervisor/core/turn.hpp"

namespace orlop::core {

namespace {

bool has_passed(const std::optional<BootTime>& moment, BootTime now) {
  return moment && *moment <= now;
}

/// Has, or is about to have, a process.
bool may_run(Phase phase) {
  return phase >= Phase::preparing && phase <= Phase::stopping;
}

// --- deadlines ---

void kill(Turn& turn, Turn::Entry& entry) {
  auto& [name, container] = entry;
  Record& record = container.record;
  container.deadline = turn.now + kill_again_delay;
  const bool had_grace = record.began && record.cause != Why::oom;  // else its group was killed at once
  if (had_grace && record.reason.why != Why::killed) {
    record.reason = {Why::killed,
                     fmt::format("{} ({})", format_duration(record.launched.stop.grace), text(record.reason))};
    turn.move(entry, Step::kill, record.reason);
    turn.write(entry);
  }
  turn.emit(effect::KillGroup{name, record.start});
}

void probe(Turn& turn, Turn::Entry& entry) {
  auto& [name, container] = entry;
  const HealthCheck& check = *container.record.launched.health;
  if (container.probing) {
    turn.emit(effect::EndProbe{name, container.record.start, container.probe});
    turn.probe_failed(entry, fmt::format("no answer within {}", format_duration(check.timeout)));
    return;
  }
  container.probing = true;
  container.probe_at = turn.now + check.timeout;
  turn.emit(effect::Probe{name, container.record.start, ++container.probe});
}

void meet_deadlines(Turn& turn) {
  for (Turn::Entry& entry : turn.state.containers) {
    auto& [name, container] = entry;
    Record& record = container.record;
    if (has_passed(container.rewrite_at, turn.now)) {
      container.rewrite_at.reset();
      turn.write(entry);
    }
    if (has_passed(container.probe_at, turn.now)) probe(turn, entry);
    if (record.phase == Phase::stopping && has_passed(container.deadline, turn.now)) kill(turn, entry);
    if (record.phase == Phase::exited && has_passed(container.deadline, turn.now)) {
      container.deadline.reset();
      turn.emit(effect::Cleanup{name, record.start});
    }
    if (record.phase == Phase::backoff && has_passed(record.wake_at, turn.now))
      turn.move(entry, Step::wake, record.reason);
  }
}

// --- what is to go down, and in what order ---

/// Why a container is to be down by its own account.
std::optional<Reason> told_to_stop(const State& state, const Container& container) {
  const Record& record = container.record;
  if (!container.wanted && !state.hands_off) return Reason{Why::removed, "not in the host file"};
  if (record.wish == Wish::stop) return Reason{Why::stopped, "operator"};
  if (!may_run(record.phase)) return std::nullopt;
  if (state.shutdown != Shutdown::no) return Reason{Why::shutdown, ""};
  if (record.again) return Reason{Why::restarted, "operator"};
  if (container.wanted && !state.hands_off && record.launched.digest != container.wanted->digest)
    return Reason{Why::replaced, "its configuration changed"};
  return std::nullopt;
}

using Names = std::set<std::string>;
using Down = std::map<std::string, Reason>;

/// Every container that is to be down: those told, and what requires one of them. A requirement that ends or fails by
/// itself takes nobody with it (as systemd's Requires=): who requires it runs on, and cannot be started.
Down going_down(const State& state) {
  Down down;
  for (const auto& [name, container] : state.containers)
    if (std::optional<Reason> reason = told_to_stop(state, container)) down.emplace(name, std::move(*reason));
  for (bool grew = !down.empty(); grew;) {
    grew = false;
    for (const auto& [name, container] : state.containers) {
      if (!may_run(container.record.phase) || down.contains(name)) continue;
      for (const std::string& requirement : container.record.launched.requirements)
        if (down.contains(requirement)) {
          grew = down.emplace(name, Reason{Why::requirement, requirement}).second;
          break;
        }
    }
  }
  return down;
}

/// Those that have to wait with stopping because one that started after them has not ended yet.
Names held_up(const State& state, const Down& down) {
  Names held;
  bool can_go_on = false;
  for (const auto& [name, reason] : down) {
    const Record& record = state.containers.at(name).record;
    if (!may_run(record.phase)) continue;
    held.insert(record.launched.after.begin(), record.launched.after.end());
    held.insert(record.launched.requirements.begin(), record.launched.requirements.end());
  }
  for (const auto& [name, reason] : down) {
    const Phase phase = state.containers.at(name).record.phase;
    can_go_on = can_go_on || phase == Phase::stopping || (may_run(phase) && !held.contains(name));
  }
  if (!can_go_on) held.clear();  // a circle that no host file should hold: better out of order than never
  return held;
}

/// One step towards being down. true: something moved.
bool take_down(Turn& turn, Turn::Entry& entry, const Reason& reason, bool is_held_up) {
  auto& [name, container] = entry;
  const Phase phase = container.record.phase;
  if (may_run(phase)) {
    if (phase == Phase::stopping || is_held_up) return false;
    if (phase == Phase::preparing)
      turn.end(entry, Step::stop, reason);
    else
      turn.begin_stop(entry, Step::stop, reason);
    return true;
  }
  if (phase == Phase::exited) return false;  // its clearing up is under way
  if (reason.why == Why::removed) {
    if (container.written != container.revision || turn.writes.contains(name)) return false;
    turn.forget(entry, reason);
    return true;
  }
  if (phase == Phase::stopped) return false;
  container.record.cause = reason.why;
  container.record.reason = reason;
  return turn.move(entry, Step::stop, reason);
}

// --- what is to come up ---

/// Whether waiting for `name` makes sense: it is ready, or on its way there. `stuck` are the pending ones that are not.
bool is_coming(const State& state, const std::string& name, const Names& stuck) {
  const auto found = state.containers.find(name);
  if (found == state.containers.end()) return false;
  const Container& container = found->second;
  if (is_ready(container)) return true;
  if (container.record.phase == Phase::pending) return !stuck.contains(name);
  return is_up(container.record.phase) && container.health != Health::unhealthy;
}

/// Pending containers that cannot start because a requirement is not on its way, or is itself stuck.
Names find_stuck(const State& state) {
  Names stuck;
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& [name, container] : state.containers) {
      if (container.record.phase != Phase::pending || !container.wanted || stuck.contains(name)) continue;
      const auto comes = [&](const std::string& requirement) { return is_coming(state, requirement, stuck); };
      if (!std::ranges::all_of(container.wanted->requirements, comes)) grew = stuck.insert(name).second;
    }
  }
  return stuck;
}

/// What a pending container has to wait for; empty: nothing. `requires` waits until it is ready; `after` only for as
/// long as it may still become so (as systemd's After= waits for the other's start, whichever way that ends).
std::string obstacle(const State& state, const Container& container, const Down& down, const Names& stuck) {
  const auto ready = [&](const std::string& name) {
    const auto found = state.containers.find(name);
    return found != state.containers.end() && is_ready(found->second) && !down.contains(name);
  };
  for (const std::string& name : container.wanted->requirements)
    if (!ready(name)) return name;
  for (const std::string& name : container.wanted->after)
    if (!ready(name) && is_coming(state, name, stuck)) return name;
  return state.last_start < state.reserved ? "" : "a start number";
}

// --- the two together ---

/// One pass. true: something moved, and may let another move.
bool reconcile(Turn& turn) {
  State& state = turn.state;
  bool moved = false;
  const Down down = going_down(state);
  const Names held = held_up(state, down);
  for (const auto& [name, reason] : down)
    moved = take_down(turn, *state.containers.find(name), reason, held.contains(name)) || moved;

  if (state.hands_off || state.shutdown != Shutdown::no) return moved;
  const Names stuck = find_stuck(state);
  for (Turn::Entry& entry : state.containers) {
    Container& container = entry.second;
    if (container.record.phase != Phase::pending || down.contains(entry.first)) continue;
    container.waits_for = obstacle(state, container, down, stuck);
    if (!container.waits_for.empty()) continue;
    turn.prepare(entry);
    moved = true;
  }
  return moved;
}

/// What follows from where everything is: probes to come, numbers in store, writes, the end of a shutdown, the timer.
void provide(Turn& turn) {
  State& state = turn.state;
  for (auto& [name, container] : state.containers) {
    const std::optional<HealthCheck>& check = container.record.launched.health;
    if (container.record.phase != Phase::running || !check || state.hands_off || container.probe_at) continue;
    if (container.health == Health::none) container.health = Health::starting;
    container.probe_at = turn.now + std::min(check->interval, first_probe_delay);
  }

  if (has_passed(state.reserve_at, turn.now)) {
    state.reserve_at.reset();
    state.reserving = state.reserved;
  }
  if (state.reserving <= state.reserved && !state.reserve_at && state.reserved - state.last_start < reserve_block / 2) {
    state.reserving = state.reserved + reserve_block;
    turn.emit(effect::Reserve{state.reserving});
  }

  for (const std::string& name : turn.writes) {
    Container& container = state.containers.at(name);
    container.rewrite_at.reset();
    container.record.era = state.era;
    container.revision = ++state.last_revision;
    turn.emit(effect::Persist{name, container.revision, container.record, container.durability});
  }

  if (state.shutdown == Shutdown::asked && std::ranges::none_of(state.containers, [](const Turn::Entry& entry) {
        const Container& container = entry.second;
        return is_up(container.record.phase) || (container.written != container.revision && !container.rewrite_at);
      })) {
    state.shutdown = Shutdown::done;
    turn.emit(effect::ShutdownDone{});
  }

  std::optional<BootTime> first = state.reserve_at;
  const auto consider = [&](const std::optional<BootTime>& moment) {
    if (moment && (!first || *moment < *first)) first = moment;
  };
  for (const auto& [name, container] : state.containers) {
    consider(container.rewrite_at);
    consider(container.probe_at);
    consider(container.deadline);
    if (container.record.phase == Phase::backoff) consider(container.record.wake_at);
  }
  if (first == state.wake_at) return;
  state.wake_at = first;
  turn.emit(effect::WakeAt{first});
}

}  // namespace

void settle(Turn& turn) {
  meet_deadlines(turn);
  while (reconcile(turn)) {
  }
  provide(turn);
}

}  // namespace orlop::core
