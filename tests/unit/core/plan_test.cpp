#include "supervisor/core/plan.hpp"

#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

TEST_CASE("a plan says what an apply would do, and the second apply does nothing", "[core]") {
  Bench bench;
  bench.begin({{"db", wanted()}, {"old", wanted()}, {"web", wanted()}});
  for (const char* name : {"db", "old", "web"}) bench.launched(name);
  const HostWanted host{{"db", wanted()}, {"new", wanted()}, {"web", wanted(2)}};
  CHECK(plan(bench.state, host) == std::vector<Planned>{{Action::keep, "db", "running"},
                                                        {Action::create, "new", "new"},
                                                        {Action::remove, "old", "not in the host file"},
                                                        {Action::replace, "web", "its configuration changed"}});
  bench.apply(host);
  for (const char* name : {"old", "web"}) bench.exits(name, {.signal = 15});
  bench.apply(host);
  CHECK(bench.count<effect::Announce>() == 0);
  for (const Planned& one : plan(bench.state, host)) CHECK(one.action == Action::keep);
}

TEST_CASE("an apply starts again what an operator stopped and what has failed", "[core]") {
  Wanted task = wanted();
  task.restart.policy = Policy::no;
  const HostWanted host{{"task", task}, {"web", wanted()}};
  Bench bench;
  bench.begin(host);
  bench.tell(event::LaunchFailed{bench.start("task"), "no"});
  bench.launched("web");
  bench.ask(event::Ask::stop, "web");
  bench.exits("web", {.signal = 15});
  CHECK(plan(bench.state, host) == std::vector<Planned>{{Action::create, "task", "had failed: cannot start: no"},
                                                        {Action::create, "web", "was stopped by an operator"}});
  bench.apply(host);
  CHECK(bench.phase("task") == Phase::starting);
  CHECK(bench.phase("web") == Phase::starting);
}

TEST_CASE("every action has its sign", "[core]") {
  CHECK(sign(Action::create) == '+');
  CHECK(sign(Action::replace) == '~');
  CHECK(sign(Action::remove) == '-');
  CHECK(sign(Action::keep) == '=');
  CHECK(to_string(Action::replace) == "replace");
}
