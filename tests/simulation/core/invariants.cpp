#include <fmt/format.h>

#include "world.hpp"

namespace orlop::simulation {

void World::found_breach(std::string what) {
  trace("!!! " + what);
  if (breach_.empty()) breach_ = std::move(what);
}

/// When a container is given its next start: is that allowed by the world's own account?
void World::check_start(const std::string& name, Start start) {
  if (core_->hands_off) found_breach("a container is started while the hands are off");
  if (core_->shutdown != Shutdown::no) found_breach("a container is started during shutdown");
  if (start > disk_.reserved) found_breach("a start number is used that is not reserved on disk");
  if (const auto place = earliest_.find(name); place != earliest_.end() && now_ < place->second)
    found_breach("a restart comes sooner than its backoff");
  earliest_.erase(name);
  for (const std::string& requirement : core_->containers.at(name).record.launched.requirements) {
    const auto place = core_->containers.find(requirement);
    if (place == core_->containers.end()) return found_breach("a container is started whose requirement is not there");
    const Record& record = place->second.record;
    if (record.launched.run != Run::always) {
      if (!record.done || record.exit != ExitStatus{})
        found_breach("a container is started before the task it requires is done");
      continue;
    }
    const auto child = children_.find(record.start);  // an exit that is not acknowledged may not be known yet
    if (record.phase != Phase::running || child == children_.end() || !child->second.ran)
      found_breach(fmt::format("{} is started although {}, which it requires, does not run", name, requirement));
    else if (record.launched.health && !healthy_.contains(record.start))
      found_breach("a container is started whose requirement was never healthy");
  }
}

void World::check_launch(const effect::Launch& launch) {
  if (launched_.contains(launch.start)) return found_breach("a start number is used again");
  const auto record = disk_.boot.find(launch.name);
  if (record == disk_.boot.end() || record->second.start != launch.start || record->second.phase != Phase::preparing)
    return found_breach("a start is launched that no record on disk names");
  if (record->second.launched.digest != launch.digest)
    return found_breach("another container is launched than recorded");
  for (const auto& [start, child] : children_)
    if (child.name == launch.name && child.stage != Child::Stage::dead)
      return found_breach("a name has two live starts");
}

void World::note_exit(const event::Exited& exited) {
  for (const auto& [name, container] : core_->containers) {
    const Record& record = container.record;
    if (record.start != exited.start || record.phase != Phase::running || !container.wanted) continue;
    if (record.again || record.wish != Wish::run || record.launched.digest != container.wanted->digest) continue;
    earliest_[name] = now_ + container.wanted->restart.backoff_min;
  }
}

/// After each act.
void World::check_world() {
  std::map<std::string, Start> alive;
  for (const auto& [start, child] : children_) {
    if (child.stage == Child::Stage::dead) continue;
    if (!alive.emplace(child.name, start).second) found_breach("a name has two live starts");
    if (!core_) continue;
    const auto place = core_->containers.find(child.name);
    if (place == core_->containers.end() || place->second.record.start != start ||
        !may_live(place->second.record.phase))
      found_breach("a living container is forgotten");
  }
  if (!core_) return;
  for (const auto& [name, container] : core_->containers)
    if (container.record.phase == Phase::running && !children_.contains(container.record.start))
      found_breach("a container is called running whose exit was acknowledged");
}

std::string World::unreached() const {
  if (!core_) return "orlopd is not up";
  if (core_->shutdown != Shutdown::no) return "the shutdown has not ended";
  for (const auto& [name, wanted] : disk_.host)
    if (!core_->containers.contains(name)) return fmt::format("{} is not there", name);
  std::set<Start> living;
  for (const auto& [name, container] : core_->containers) {
    const Record& record = container.record;
    const auto place = disk_.boot.find(name);
    if (!disk_.host.contains(name)) return fmt::format("{} is not removed", name);
    if (place == disk_.boot.end() || place->second != record)
      return fmt::format("the record of {} is not on disk", name);
    if (record.phase == Phase::running) {
      living.insert(record.start);
      if (record.launched.digest != container.wanted->digest) return fmt::format("{} is not replaced", name);
      if (record.wish != Wish::run) return fmt::format("{} is not stopped", name);
      if (!is_ready(container)) return fmt::format("{} is not healthy", name);
      if (container.probing) return fmt::format("{} is being probed, and nobody answers", name);
      continue;
    }
    const Policy policy = container.wanted->restart.policy;
    const bool is_task = container.wanted->run != Run::always;
    const bool may_end = record.exit == ExitStatus{} && (policy == Policy::no || policy == Policy::on_failure);
    if (record.phase == Phase::stopped && (record.wish == Wish::stop || record.done || (!is_task && may_end))) continue;
    if (record.phase == Phase::failed &&
        (policy == Policy::no || is_task || container.wanted->restart.limit != 0 ||
         (container.wanted->health && container.wanted->health->then == Unhealthy::stop)))
      continue;
    // It may wait only for what is itself at rest or waits.
    const auto other = core_->containers.find(container.waits_for);
    if (record.phase == Phase::pending && other != core_->containers.end() && !is_ready(other->second) &&
        (other->second.record.phase == Phase::pending || other->second.record.phase == Phase::stopped ||
         other->second.record.phase == Phase::failed))
      continue;
    return fmt::format("{} stays {}", name, to_string(record.phase));
  }
  for (const auto& [name, record] : disk_.boot)
    if (!core_->containers.contains(name)) return fmt::format("the record of {} stays on disk", name);
  for (const auto& [start, child] : children_)
    if (!living.contains(start)) return fmt::format("start {} of {} stays with the guardian", start, child.name);
  if (living.size() != children_.size()) return "something runs that does not";
  if (groups_ != living) return "a group stays that has no container";
  return "";
}

}  // namespace orlop::simulation
