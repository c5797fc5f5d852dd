// A core on the bench: writes succeed at once and clearing up too, unless the test says otherwise; everything else is
// told by hand.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "supervisor/core/decide.hpp"

namespace orlop::core {

using namespace std::chrono_literals;

inline Wanted wanted(unsigned char version = 1) {
  Wanted wanted;
  wanted.digest.bytes[0] = version;
  wanted.restart.backoff_min = 1s;
  wanted.restart.backoff_max = 10s;
  return wanted;
}

struct Bench {
  State state = {};
  BootTime now{1h};
  Effects effects = {};  ///< of the last tell(), answers to writes included
  bool writes_succeed = true;
  bool cleanups_succeed = true;

  void tell(const Event& event) {
    effects.clear();
    std::vector<Event> events{event};
    for (std::size_t i = 0; i < events.size(); ++i) {
      for (Effect& effect : decide(state, Event(events[i]), now)) {
        if (const auto* persist = std::get_if<effect::Persist>(&effect); persist && writes_succeed)
          events.push_back(event::Persisted{persist->name, persist->revision});
        if (const auto* reserve = std::get_if<effect::Reserve>(&effect); reserve && writes_succeed)
          events.push_back(event::Reserved{reserve->up_to});
        if (const auto* cleanup = std::get_if<effect::Cleanup>(&effect); cleanup && cleanups_succeed)
          events.push_back(event::Cleaned{cleanup->start});
        effects.push_back(std::move(effect));
      }
    }
  }
  void begin(HostWanted host) {
    tell(event::Recovered{.wanted = std::move(host), .records = {}, .found = {}, .era = "1"});
  }
  void ask(event::Ask ask, const std::string& name, int signal = 9) { tell(event::Asked{ask, name, signal}); }
  void apply(HostWanted host) { tell(event::Applied{std::move(host)}); }
  /// Lets time pass to `moment` after now, with the timer's event.
  void pass(Duration time) {
    now += time;
    tell(event::Tick{});
  }

  Container& container(const std::string& name) { return state.containers.at(name); }
  Record& record(const std::string& name) { return container(name).record; }
  Phase phase(const std::string& name) {
    const auto found = state.containers.find(name);
    return found == state.containers.end() ? Phase::gone : found->second.record.phase;
  }
  Start start(const std::string& name) { return record(name).start; }
  std::string reason(const std::string& name) { return text(record(name).reason); }
  void launched(const std::string& name) { tell(event::Launched{start(name)}); }
  void exits(const std::string& name, ExitStatus exit = {}) { tell(event::Exited{start(name), exit}); }
  void probed(const std::string& name, bool ok) {
    tell(event::Probed{start(name), container(name).probe, ok, ok ? "fine" : "refused"});
  }

  template <class T>
  std::vector<T> all() const {
    std::vector<T> found;
    for (const Effect& effect : effects)
      if (const auto* one = std::get_if<T>(&effect)) found.push_back(*one);
    return found;
  }
  template <class T>
  std::size_t count() const {
    return all<T>().size();
  }
};

}  // namespace orlop::core
