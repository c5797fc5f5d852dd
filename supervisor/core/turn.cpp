#include "supervisor/core/turn.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "supervisor/core/decide.hpp"

namespace orlop::core {

void Turn::write(Entry& entry, Durability durability) {
  writes.insert(entry.first);
  if (durability == Durability::power_loss) entry.second.durability = durability;
}

Turn::Entry* Turn::find(Start start) const {
  for (Entry& entry : state.containers)
    if (start != 0 && entry.second.record.start == start) return &entry;
  return nullptr;
}

void Turn::refuse(const Entry& entry, Step step) {
  const auto& [name, container] = entry;
  emit(effect::Refused{name, fmt::format("container '{}' is {}: '{}' does not happen there", name,
                                         to_string(container.record.phase), to_string(step))});
}

bool Turn::move(Entry& entry, Step step, const Reason& reason, std::optional<ExitStatus> exit) {
  auto& [name, container] = entry;
  Record& record = container.record;
  const Phase from = record.phase;
  const std::optional<Phase> to = next(from, step);
  if (!to) {
    refuse(entry, step);
    return false;
  }
  emit(effect::Announce{name, record.start, from, *to, step, reason, exit});
  if (*to == from) return true;
  if (container.probing) emit(effect::EndProbe{name, record.start, container.probe});
  container.probing = false;
  container.probe_at.reset();
  container.probe_failures = 0;
  container.health = Health::none;
  container.deadline.reset();
  container.waits_for.clear();
  container.trouble.clear();
  record.phase = *to;
  record.since = now;
  // To a successor `preparing` says the same as `starting`: it asks the guardian what became of the start.
  if (*to != Phase::starting) write(entry);
  return true;
}

void Turn::wish(Entry& entry, Wish wish) {
  Record& record = entry.second.record;
  if (record.wish == wish) return;
  record.wish = wish;
  write(entry, Durability::power_loss);
}

void Turn::forgive(Record& record) {
  record.failures = 0;
  record.restarts = 0;
  record.recent.clear();
  record.done = false;
}

void Turn::prepare(Entry& entry) {
  Record& record = entry.second.record;
  record.start = ++state.last_start;
  record.launched = *entry.second.wanted;
  record.began.reset();
  record.cause = Why::none;
  record.again = false;
  record.done = false;
  move(entry, Step::prepare, record.reason);
}

void Turn::begin_stop(Entry& entry, Step step, const Reason& reason) {
  auto& [name, container] = entry;
  Record& record = container.record;
  const bool has_program = record.phase == Phase::running;
  if (!move(entry, step, reason)) return;
  record.cause = reason.why;
  record.reason = reason;
  if (has_program && step != Step::run_out) {
    emit(effect::Signal{name, record.start, record.launched.stop.signal});
    container.deadline = now + record.launched.stop.grace;
  } else {  // before its program runs nothing in it can heed a signal; and half of a group out of memory is no use
    emit(effect::KillGroup{name, record.start});
    container.deadline = now + kill_again_delay;
  }
}

void Turn::end(Entry& entry, Step step, Reason reason, std::optional<ExitStatus> exit) {
  auto& [name, container] = entry;
  Record& record = container.record;
  const bool was_told = record.phase == Phase::stopping;
  if (was_told) reason = record.reason;
  if (!move(entry, step, reason, exit)) return;
  if (!was_told) record.cause = reason.why;
  record.reason = std::move(reason);
  record.exit = exit;
  container.unacknowledged.push_back(record.start);
  emit(effect::Cleanup{name, record.start});
}

namespace {

/// The delay before the next restart: doubled with each failure, within bounds.
Duration backoff(const Restart& restart, std::uint32_t failures) {
  Duration delay = restart.backoff_min;
  for (std::uint32_t i = 0; i < failures && delay < restart.backoff_max; ++i)
    delay = delay > restart.backoff_max / 2 ? restart.backoff_max : delay * 2;
  return delay;
}

}  // namespace

void Turn::put_away(Entry& entry) {
  Container& container = entry.second;
  Record& record = container.record;
  if (record.wish == Wish::stop || !container.wanted) {
    move(entry, Step::rest, record.reason);
    return;
  }
  const Wanted& wanted = *container.wanted;
  if (record.again || record.launched.digest != wanted.digest) {
    forgive(record);
    move(entry, Step::come_again, record.reason);
    return;
  }
  if (is_planned(record.cause)) {
    move(entry, Step::come_again, record.reason);
    return;
  }

  const bool succeeded = record.cause == Why::exited && record.exit == ExitStatus{};
  const bool is_task = wanted.run != Run::always;
  if (succeeded && (is_task || wanted.restart.policy == Policy::no || wanted.restart.policy == Policy::on_failure)) {
    record.done = is_task;
    write(entry, is_task ? Durability::power_loss : Durability::until_reboot);
    move(entry, Step::rest, record.reason);
    return;
  }
  const bool stays_ill =
      record.cause == Why::unhealthy && record.launched.health && record.launched.health->then == Unhealthy::stop;
  if (is_task || stays_ill || wanted.restart.policy == Policy::no) {
    move(entry, Step::give_up, record.reason);
    return;
  }

  const Restart& restart = wanted.restart;
  if (record.began && record.since - *record.began >= restart.backoff_max) record.failures = 0;
  std::erase_if(record.recent, [&](BootTime moment) { return now - moment >= restart.window; });
  if (restart.limit != 0 && record.recent.size() >= restart.limit) {
    record.reason = {Why::limit, fmt::format("{} within {}; last: {}", restart.limit, format_duration(restart.window),
                                             text(record.reason))};
    move(entry, Step::give_up, record.reason);
    return;
  }
  if (restart.limit != 0) record.recent.push_back(now);
  const Duration delay = backoff(restart, record.failures);
  ++record.failures;
  ++record.restarts;
  record.wake_at = now + delay;
  move(entry, Step::wait, {Why::backoff, fmt::format("{} ({})", format_duration(delay), text(record.reason))});
}

void Turn::forget(Entry& entry, const Reason& reason) {
  if (!move(entry, Step::forget, reason)) return;
  const std::string name = entry.first;
  writes.erase(name);
  state.containers.erase(name);
  emit(effect::Forget{name});
}

void Turn::probe_failed(Entry& entry, std::string output) {
  Container& container = entry.second;
  const Record& record = container.record;
  const HealthCheck& check = *record.launched.health;
  const bool is_early =
      container.health == Health::starting && record.began && now < *record.began + check.start_period;
  container.probing = false;
  container.probe_output = std::move(output);
  // While it may still be coming up a success is what others wait for, and a failure says nothing: ask more often.
  container.probe_at = now + (is_early ? std::min(check.interval, first_probe_delay) : check.interval);
  if (is_early || ++container.probe_failures < check.retries || container.health == Health::unhealthy) return;
  const Reason reason{Why::unhealthy, container.probe_output.substr(0, container.probe_output.find('\n'))};
  if (check.then == Unhealthy::report) {
    container.health = Health::unhealthy;
    move(entry, Step::ail, reason);
  } else {
    begin_stop(entry, Step::fall_ill, reason);
  }
}

}  // namespace orlop::core
