#include <algorithm>

#include "supervisor/core/plan.hpp"
#include "world.hpp"

namespace orlop::simulation {

using namespace std::chrono_literals;

namespace {

const std::vector<std::string> names{"a", "b", "c", "d", "e"};

}  // namespace

Wanted World::another_wanted(const std::string& name, const HostWanted& host) {
  Wanted wanted;
  const std::uint64_t number = ++digests_;
  for (std::size_t i = 0; i < 8; ++i) wanted.digest.bytes[i] = static_cast<unsigned char>(number >> (8 * i));
  for (const auto& [other, unused] : host) {
    if (other >= name) break;  // so there is no circle
    if (dice_.once_in(4))
      wanted.after.push_back(other);
    else if (dice_.once_in(4))
      wanted.requirements.push_back(other);
  }
  wanted.restart.policy = static_cast<Policy>(dice_.once_in(2) ? 2 : dice_.below(4));
  wanted.restart.backoff_min = 100ms + dice_.up_to(2s);
  wanted.restart.backoff_max = wanted.restart.backoff_min + dice_.up_to(1min);
  if (dice_.once_in(3)) wanted.restart.limit = static_cast<std::uint32_t>(1 + dice_.below(4));
  wanted.stop.grace = dice_.up_to(20s);
  if (dice_.once_in(3))
    wanted.health = HealthCheck{.interval = 1s + dice_.up_to(30s),
                                .timeout = 1s + dice_.up_to(10s),
                                .retries = static_cast<std::uint32_t>(1 + dice_.below(3)),
                                .start_period = dice_.up_to(10s),
                                .then = static_cast<Unhealthy>(dice_.once_in(2) ? 0 : dice_.below(3))};
  if (dice_.once_in(6)) wanted.run = dice_.once_in(2) ? Run::once : Run::on_boot;
  return wanted;
}

HostWanted World::another_host() {
  HostWanted host = disk_.host;
  for (const std::string& name : names) {
    if (dice_.once_in(3))
      host.erase(name);
    else if (dice_.once_in(3) || (host.empty() && name == names.back()))
      host[name] = {};
  }
  // What is new, and what named something that is no longer there, is made anew.
  for (auto& [name, wanted] : host) {
    const auto is_missing = [&](const std::string& other) { return !host.contains(other); };
    if (wanted == Wanted{} || std::ranges::any_of(wanted.after, is_missing) ||
        std::ranges::any_of(wanted.requirements, is_missing))
      wanted = another_wanted(name, host);
  }
  return host;
}

void World::apply(HostWanted host) {
  disk_.host = std::move(host);
  count("applies");
  earliest_.clear();
  if (!quiet_ && dice_.once_in(20)) return crash_orlopd();  // kept, and not taken in
  if (core_->shutdown != Shutdown::no) return deliver(event::Applied{disk_.host});

  const std::vector<Planned> planned = plan(*core_, disk_.host);
  std::map<std::string, Record> before;
  for (const auto& [name, container] : core_->containers) before[name] = container.record;
  deliver(event::Applied{disk_.host});
  if (!core_) return;
  for (const Planned& one : planned) {
    count(std::string("planned: ").append(to_string(one.action)));
    const auto place = core_->containers.find(one.name);
    const bool is_wanted = place != core_->containers.end() && place->second.wanted.has_value();
    if ((one.action == Action::remove) == is_wanted) found_breach("an apply does not do what its plan says");
    if (one.action == Action::keep && place->second.record.wish != Wish::run)
      found_breach("an applied container is not wished to run");
  }
  for (const Planned& one : plan(*core_, disk_.host))
    if (one.action != Action::keep && one.action != Action::replace && one.action != Action::remove)
      found_breach("a second apply would create again");
}

void World::ask() {
  const std::string name = dice_.once_in(20) ? "nobody" : dice_.one_of(const_cast<std::vector<std::string>&>(names));
  if (dice_.once_in(30)) {
    count("asked: shutdown");
    return deliver(event::ShutdownAsked{});
  }
  const auto ask = static_cast<event::Ask>(dice_.below(4));
  count("asked: start, stop, restart or kill");
  if (ask != event::Ask::stop && ask != event::Ask::kill) earliest_.clear();
  deliver(event::Asked{ask, name, dice_.once_in(2) ? 9 : 1});
}

}  // namespace orlop::simulation
