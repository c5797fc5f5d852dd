#include "supervisor/core/life.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

namespace {

std::string tables() {
  std::string page = "| phase | what it means |\n|---|---|\n";
  for (std::size_t i = 0; i < phase_count; ++i)
    page += fmt::format("| {} | {} |\n", to_string(static_cast<Phase>(i)), meaning(static_cast<Phase>(i)));
  page += "\n| step | what happens |\n|---|---|\n";
  for (std::size_t i = 0; i < step_count; ++i)
    page += fmt::format("| {} | {} |\n", to_string(static_cast<Step>(i)), meaning(static_cast<Step>(i)));
  page += "\n| from | step | to |\n|---|---|---|\n";
  for (const Transition& row : life_table)
    page += fmt::format("| {} | {} | {} |\n", to_string(row.from), to_string(row.step), to_string(row.to));
  return page;
}

}  // namespace

TEST_CASE("docs/life.md holds the life table as it is in the code", "[core]") {
  std::ifstream file(LIFE_PAGE);
  std::stringstream page;
  page << file.rdbuf();
  INFO("the tables of the page should read:\n" << tables());
  CHECK(page.str().find(tables()) != std::string::npos);
}

TEST_CASE("a pair of phase and step leads to at most one phase", "[core]") {
  std::set<std::pair<Phase, Step>> pairs;
  for (const Transition& row : life_table) CHECK(pairs.emplace(row.from, row.step).second);
}

TEST_CASE("every phase is reached from the beginning, and every phase leads to the end", "[core]") {
  std::set<Phase> forward{Phase::gone}, backward{Phase::gone};
  for (std::size_t i = 0; i < phase_count; ++i)
    for (const Transition& row : life_table) {
      if (forward.contains(row.from)) forward.insert(row.to);
      if (backward.contains(row.to)) backward.insert(row.from);
    }
  CHECK(forward.size() == phase_count);
  CHECK(backward.size() == phase_count);
}

TEST_CASE("phases and steps have names of their own that read back", "[core]") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < phase_count; ++i) {
    CHECK(phase_from(to_string(static_cast<Phase>(i))) == static_cast<Phase>(i));
    names.insert(to_string(static_cast<Phase>(i)));
  }
  CHECK(names.size() == phase_count);
  CHECK_FALSE(phase_from("dead"));
  std::set<std::string_view> steps;
  for (std::size_t i = 0; i < step_count; ++i) steps.insert(to_string(static_cast<Step>(i)));
  CHECK(steps.size() == step_count);
}

namespace {

/// A bench with a container `web` in `phase`, as it comes there.
Bench bench_in(Phase phase) {
  Bench bench;
  if (phase == Phase::gone) {
    bench.begin({});
    return bench;
  }
  Wanted web = wanted();
  if (phase == Phase::failed) web.restart.policy = Policy::no;
  bench.writes_succeed = phase != Phase::pending && phase != Phase::preparing;
  bench.begin({{"web", web}});
  if (phase == Phase::pending) return bench;
  if (phase == Phase::preparing) {
    bench.tell(event::Reserved{reserve_block});
    return bench;
  }
  if (phase == Phase::starting) return bench;
  bench.launched("web");
  if (phase == Phase::running) return bench;
  if (phase == Phase::stopping || phase == Phase::stopped) {
    bench.ask(event::Ask::stop, "web");
    if (phase == Phase::stopped) bench.exits("web", {.signal = 15});
    return bench;
  }
  bench.cleanups_succeed = phase != Phase::exited;
  bench.exits("web", {.code = 1});
  return bench;
}

/// Every event but Recovered, aimed at `web`.
std::vector<Event> every_event(Bench& bench) {
  const Start start = bench.phase("web") == Phase::gone ? 77 : std::max<Start>(bench.start("web"), 1);
  std::vector<Event> events{event::Applied{{{"web", wanted()}}},
                            event::Applied{{{"web", wanted(2)}}},
                            event::Applied{{}},
                            event::ShutdownAsked{},
                            event::Reserved{5000},
                            event::ReserveFailed{5000, "full"},
                            event::Persisted{"web", 1'000'000},
                            event::PersistFailed{"web", 1, "full"},
                            event::Launched{start},
                            event::LaunchFailed{start, "no"},
                            event::Exited{start, {.code = 3}},
                            event::OomSeen{start, "limit 1MiB"},
                            event::Probed{start, 1, false, "no"},
                            event::Cleaned{start},
                            event::CleanupFailed{start, "busy"},
                            event::Tick{}};
  for (const auto ask : {event::Ask::start, event::Ask::stop, event::Ask::restart, event::Ask::kill})
    events.emplace_back(event::Asked{ask, "web"});
  return events;
}

}  // namespace

TEST_CASE("every event in every phase moves along the table or is refused, and changes nothing when told again",
          "[core]") {
  for (std::size_t i = 0; i < phase_count; ++i) {
    const Phase phase = static_cast<Phase>(i);
    Bench fresh = bench_in(phase);
    REQUIRE(to_string(fresh.phase("web")) == to_string(phase));
    for (const Event& event : every_event(fresh)) {
      INFO("event " << event.index() << " in " << to_string(phase));
      Bench bench = bench_in(phase);
      Phase at = phase;
      for (const Effect& effect : decide(bench.state, event, bench.now))
        if (const auto* said = std::get_if<effect::Announce>(&effect)) {
          CHECK(to_string(said->from) == to_string(at));
          CHECK(next(said->from, said->step) == said->to);
          at = said->to;
        }
      CHECK(to_string(bench.phase("web")) == to_string(at));
      const Phase after = bench.phase("web");
      const bool may_repeat = std::holds_alternative<event::Asked>(event);  // a second wish is a wish
      if (may_repeat) continue;
      for (const Effect& effect : decide(bench.state, event, bench.now)) {
        CHECK_FALSE(std::holds_alternative<effect::Launch>(effect));
        CHECK_FALSE(std::holds_alternative<effect::Signal>(effect));
      }
      CHECK(to_string(bench.phase("web")) == to_string(after));
    }
  }
}

TEST_CASE("a request for a container that is not there is refused by name", "[core]") {
  Bench bench;
  bench.begin({});
  bench.ask(event::Ask::start, "web");
  const auto refused = bench.all<effect::Refused>();
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].asked);
  CHECK(refused[0].sentence == "there is no container 'web'");
}
