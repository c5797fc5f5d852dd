#include "world.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace orlop::simulation {

using namespace std::chrono_literals;

World::World(const Options& options, Counts& counts) : options_(options), counts_(counts), dice_(options.seed) {
  disk_.host = another_host();
}

void World::trace(const std::string& line) const {
  if (options_.trace)
    fmt::print("{:>12.3f} {}\n", std::chrono::duration<double>(now_.time_since_epoch()).count(), line);
}

// --- orlopd ---

void World::start_orlopd() {
  event::Recovered recovered;
  recovered.wanted = disk_.host;
  recovered.records = disk_.boot;
  recovered.reserved = disk_.reserved;
  recovered.era = std::to_string(era_);
  recovered.hands_off = !quiet_ && dice_.once_in(6);
  for (auto& [start, child] : children_) {
    if (child.stage == Child::Stage::setting_up) {  // the executor waits for what becomes of it
      if (quiet_ || !dice_.once_in(4)) {
        child.stage = Child::Stage::running;
        child.ran = true;
      } else {
        die(start, child, {.code = 1});
      }
    }
    event::Found found{.start = start, .what = event::Alive{}};
    const event::Exited exited{.start = start, .exit = child.exit, .oom = child.oom};
    if (child.stage == Child::Stage::dead && child.ran) found.what = exited;
    if (child.stage == Child::Stage::dead && !child.ran) {
      if (dice_.once_in(2))
        found.what = event::NeverRan{};
      else
        found.what = event::LaunchFailed{start, "its child ended before the program ran"};
    }
    recovered.found.push_back(found);
    if (child.stage == Child::Stage::dead && dice_.once_in(2)) report(exited);  // the guardian tells it once more
  }
  count(recovered.hands_off ? "starts of orlopd, hands off" : "starts of orlopd");
  told_this_life_.clear();
  healthy_.clear();
  core_.emplace();
  deliver(recovered);
  if (!core_) return;
  for (const auto& [name, wish] : said_)
    if (const auto place = core_->containers.find(name);
        wish == Wish::stop && place != core_->containers.end() && place->second.wanted &&
        place->second.wanted->restart.policy == Policy::unless_stopped && place->second.record.wish != Wish::stop)
      found_breach("a stop by hand is forgotten that should outlast a start of the host");
}

void World::crash_orlopd() {
  trace("### orlopd is killed");
  count("kills of orlopd");
  crashed_ = true;
  core_.reset();
  reports_.clear();
  timer_.reset();
  for (std::uint64_t done = dice_.below(writes_.size() + 1); done > 0; --done) write_one();
  writes_.clear();
  reports_.clear();
  for (auto child = children_.begin(); child != children_.end();) {
    if (child->second.stage != Child::Stage::gate) {
      ++child;
    } else if (dice_.once_in(2)) {  // it reads the end of the pipe and exits; the guardian had been given its pidfd …
      die(child->first, child->second, {.code = 1});
      ++child;
    } else {  // … or had not
      child = children_.erase(child);
    }
  }
}

void World::crash_guardian(bool reboot) {
  trace(reboot ? "### the host loses power" : "### the guardian dies");
  count(reboot ? "reboots" : "deaths of the guardian");
  if (core_ || !writes_.empty()) crash_orlopd();
  crashed_ = true;
  children_.clear();
  ++era_;
  excused_ = disk_.reserved;
  earliest_.clear();
  if (!reboot) return;
  disk_.boot = disk_.lasting;
  groups_.clear();
  now_ = BootTime(dice_.up_to(10s));
}

void World::report(Event event) {
  if (core_) reports_.push_back(std::move(event));
}

void World::deliver(const Event& event) {
  trace("> " + text(event));
  if (const auto* exited = std::get_if<event::Exited>(&event)) note_exit(*exited);
  if (const auto* probed = std::get_if<event::Probed>(&event); probed && probed->ok) healthy_.insert(probed->start);
  crashed_ = false;
  const bool is_ahead = options_.fault == Fault::run_clock_fast && std::holds_alternative<event::Tick>(event);
  for (const Effect& effect : decide(*core_, event, is_ahead ? now_ + 1h : now_)) {
    trace("    " + text(effect));
    perform(effect);
    if (!breach_.empty()) return;
    if (!quiet_ && dice_.once_in(150)) {
      count("kills of orlopd between two effects");
      crash_orlopd();
    }
    if (crashed_) return;
  }
  if (std::exchange(shutdown_done_, false)) {
    count("shutdowns");
    while (!writes_.empty()) write_one();
    crash_guardian(dice_.once_in(2));
  }
}

void World::deliver_report(std::size_t index) {
  const Event event = reports_[index];
  if (quiet_ || !dice_.once_in(8))
    reports_.erase(reports_.begin() + static_cast<std::ptrdiff_t>(index));
  else
    count("events told twice");
  const auto* exited = std::get_if<event::Exited>(&event);
  if (exited && options_.fault == Fault::acknowledge_early) children_.erase(exited->start);
  if (exited && options_.fault == Fault::forget_exit && dice_.once_in(20)) {
    children_.erase(exited->start);
    return;
  }
  deliver(event);
}

void World::tick() {
  timer_.reset();
  deliver(event::Tick{});
}

// --- the disk, on a thread of its own ---

void World::write_one() {
  const Write write = std::move(writes_.front());
  writes_.pop_front();
  if (const auto* forget = std::get_if<effect::Forget>(&write)) {
    disk_.boot.erase(forget->name);
    disk_.lasting.erase(forget->name);
    said_.erase(forget->name);
  } else if (const auto* reserve = std::get_if<effect::Reserve>(&write)) {
    if (disk_.full) {
      count("refused writes");
      return report(event::ReserveFailed{reserve->up_to, "No space left on device (ENOSPC)"});
    }
    if (options_.fault != Fault::lose_numbers) disk_.reserved = reserve->up_to;
    report(event::Reserved{reserve->up_to});
  } else if (const auto* persist = std::get_if<effect::Persist>(&write)) {
    if (disk_.full) {
      count("refused writes");
      return report(event::PersistFailed{persist->name, persist->revision, "No space left on device (ENOSPC)"});
    }
    if (options_.fault != Fault::drop_write || !dice_.once_in(10)) disk_.boot[persist->name] = persist->record;
    if (persist->durability == Durability::power_loss && options_.fault != Fault::forget_wish)
      disk_.lasting[persist->name] = persist->record;
    if (persist->durability == Durability::power_loss) said_[persist->name] = persist->record.wish;
    report(event::Persisted{persist->name, persist->revision});
  }
}

// --- processes ---

void World::die(Start start, Child& child, ExitStatus exit, bool oom) {
  child.stage = Child::Stage::dead;
  child.exit = exit;
  child.oom = oom;
  trace(fmt::format("### start {} of {} ends: {}", start, child.name, core::text(reason_of(exit))));
  report(event::Exited{start, exit, oom, oom ? "limit 64MiB, peak 64MiB" : ""});
}

void World::advance(Start start, Child& child) {
  switch (child.stage) {
    case Child::Stage::gate:
      child.stage = Child::Stage::setting_up;
      return;
    case Child::Stage::setting_up:
      if (!quiet_ && dice_.once_in(8)) {
        count("failed launches");
        report(event::LaunchFailed{start, "cannot execute '/bin/x': No such file or directory (ENOENT)"});
        return die(start, child, {.code = 1});
      }
      child.stage = Child::Stage::running;
      child.ran = true;
      count("launches");
      return report(event::Launched{start});
    default:
      return;
  }
}

void World::exit_by_chance(Start start, Child& child) {
  if (child.stage != Child::Stage::running) return;
  count("exits by themselves");
  switch (dice_.below(5)) {
    case 0:
      return die(start, child, {.code = 1});
    case 1:
      return die(start, child, {.signal = 11});
    case 2:
      count("out of memory");
      if (dice_.once_in(2)) report(event::OomSeen{start, "limit 64MiB, peak 64MiB"});
      if (dice_.once_in(2)) die(start, child, {.signal = 9}, true);
      return;
    default:
      return die(start, child, {.code = 0});
  }
}

// --- acts ---

/// What goes on by itself, in any order.
void World::go_on() {
  const std::uint64_t roll = dice_.below(10);
  if (roll < 4 && !reports_.empty()) return deliver_report(dice_.once_in(3) ? dice_.below(reports_.size()) : 0);
  if (roll < 6 && !writes_.empty()) return write_one();
  if (roll < 9 && !children_.empty()) {
    auto place = children_.begin();
    std::advance(place, static_cast<std::ptrdiff_t>(dice_.below(children_.size())));
    auto& [start, child] = *place;
    if (child.stage == Child::Stage::dead) return report(event::Exited{start, child.exit, child.oom});
    if (child.stage != Child::Stage::running) return advance(start, child);
    if (dice_.once_in(6)) return exit_by_chance(start, child);
  }
  if (!timer_) return;
  now_ = std::max(now_, *timer_);
  if (dice_.once_in(20)) {
    count("clock jumps");
    now_ += dice_.up_to(24h);
  }
  tick();
}

void World::chaos() {
  now_ += dice_.up_to(50ms);
  if (!core_) {
    if (dice_.once_in(3)) disk_.full = false;
    return start_orlopd();
  }
  const std::uint64_t roll = dice_.below(1000);
  if (roll < 880) {
    go_on();
  } else if (roll < 885) {
    count("ticks at a wrong time");
    tick();
  } else if (roll < 940) {
    ask();
  } else if (roll < 965) {
    apply(another_host());
  } else if (roll < 985) {
    disk_.full = !disk_.full && dice_.once_in(3);
    if (disk_.full) count("full disks");
  } else if (roll < 995) {
    crash_orlopd();
  } else if (dice_.once_in(2)) {
    crash_guardian(dice_.once_in(2));
  }
  check_world();
}

void World::make_quiet() {
  trace("### quiet from here");
  quiet_ = true;
  disk_.full = false;
  if (!core_) start_orlopd();
  if (core_->shutdown != Shutdown::no) return;
  if (core_->hands_off || dice_.once_in(2)) apply(disk_.host);
}

void World::calm() {
  now_ += 1ms;
  if (!core_) return start_orlopd();
  if (!reports_.empty()) return deliver_report(0);
  if (!writes_.empty()) return write_one();
  for (auto& [start, child] : children_) {
    if (child.stage == Child::Stage::gate || child.stage == Child::Stage::setting_up) return advance(start, child);
    const auto container = core_->containers.find(child.name);
    const bool is_task = container != core_->containers.end() && container->second.record.launched.run != Run::always;
    if (child.stage == Child::Stage::running && is_task) return die(start, child, {});
  }
  if (!timer_) return;
  now_ = std::max(now_, *timer_);
  tick();
}

}  // namespace orlop::simulation
