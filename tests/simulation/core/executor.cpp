#include <fmt/format.h>

#include "world.hpp"

namespace orlop::simulation {

using namespace std::chrono_literals;

void World::perform(const Effect& effect) {
  std::visit([&](const auto& one) { perform(one); }, effect);
}

void World::perform(const effect::Announce& effect) {
  count(fmt::format("step: {}", to_string(effect.step)));
  const bool tells_an_end =
      effect.step == Step::exit || effect.step == Step::lose || effect.step == Step::launch_failed;
  if (tells_an_end) {
    const auto record = disk_.boot.find(effect.name);
    if (!told_this_life_.insert(effect.start).second) found_breach("an exit is told twice");
    if (record != disk_.boot.end() && record->second.start == effect.start && !may_live(record->second.phase))
      found_breach("an exit is told again that is recorded already");
    if (effect.reason.why == Why::lost && effect.start > excused_) found_breach("an exit status is lost");
    told_.insert(effect.start);
  }
  if (effect.step == Step::prepare) check_start(effect.name, effect.start);
  if (effect.from == Phase::exited && effect.to != Phase::exited && groups_.contains(effect.start))
    found_breach("a container goes on while its last start is not put away");
}

void World::perform(const effect::Persist& effect) {
  writes_.emplace_back(effect);
  if (options_.fault == Fault::launch_early && effect.record.phase == Phase::preparing)
    perform(effect::Launch{effect.name, effect.record.start, effect.record.launched.digest});
}

void World::perform(const effect::Forget& effect) {
  writes_.emplace_back(effect);
}

void World::perform(const effect::Reserve& effect) {
  writes_.emplace_back(effect);
}

void World::perform(const effect::Launch& effect) {
  check_launch(effect);
  launched_.insert(effect.start);
  groups_.insert(effect.start);
  children_[effect.start] = {.name = effect.name};
  if (options_.fault == Fault::relaunch) {
    const Start second = effect.start + 1'000'000'000;
    children_[second] = {.name = effect.name};
  }
}

void World::perform(const effect::Signal& effect) {
  count("signals");
  const auto child = children_.find(effect.start);
  if (child == children_.end() || child->second.stage != Child::Stage::running) return;
  if (quiet_ || !dice_.once_in(3))
    die(effect.start, child->second, {.signal = effect.signal});
  else
    count("signals ignored");
}

void World::perform(const effect::KillGroup& effect) {
  count("kills of a group");
  const auto child = children_.find(effect.start);
  if (child == children_.end() || child->second.stage == Child::Stage::dead) return;
  if (options_.fault == Fault::skip_kill) return;
  if (!child->second.ran) report(event::LaunchFailed{effect.start, "cancelled"});
  die(effect.start, child->second, {.signal = 9});
}

void World::perform(const effect::Probe& effect) {
  count("probes");
  if (quiet_ || !dice_.once_in(3))
    report(event::Probed{effect.start, effect.probe, true, "ok"});
  else if (!dice_.once_in(4))
    report(event::Probed{effect.start, effect.probe, false, "connection refused"});
}

void World::perform(const effect::EndProbe&) {
  count("probes ended");  // its answer may be on its way already
}

void World::perform(const effect::Cleanup& effect) {
  const auto child = children_.find(effect.start);
  if (child != children_.end() && child->second.stage != Child::Stage::dead)
    return found_breach("a living start is put away");
  if (!quiet_ && dice_.once_in(8)) {
    count("failed clearing up");
    return report(event::CleanupFailed{effect.start, "rmdir: Device or resource busy (EBUSY)"});
  }
  if (options_.fault != Fault::skip_cleanup) groups_.erase(effect.start);
  report(event::Cleaned{effect.start});
}

void World::perform(const effect::AckExit& effect) {
  const auto child = children_.find(effect.start);
  if (child == children_.end()) return;
  const Child& ended = child->second;
  if (ended.stage != Child::Stage::dead) return found_breach("the exit of a living start is acknowledged");
  if (ended.ran && !told_.contains(effect.start)) return found_breach("an exit is acknowledged that nobody was told");
  const auto place = disk_.boot.find(ended.name);
  if (ended.ran && place != disk_.boot.end()) {
    const Record& record = place->second;
    if (record.start < effect.start || (record.start == effect.start && may_live(record.phase)))
      return found_breach("an exit is acknowledged before it is recorded");
    if (record.start == effect.start && record.exit != ended.exit) return found_breach("an exit is recorded wrongly");
  }
  count("exits acknowledged");
  children_.erase(child);
}

void World::perform(const effect::Refused& effect) {
  count(effect.asked ? "requests refused" : "late events refused");
}

void World::perform(const effect::WakeAt& effect) {
  timer_ = effect.at;
}

void World::perform(const effect::ShutdownDone&) {
  for (const auto& [start, child] : children_)
    if (child.stage != Child::Stage::dead) return found_breach("shut down while a container lives");
  shutdown_done_ = true;
}

}  // namespace orlop::simulation
