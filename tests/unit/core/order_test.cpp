#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

namespace {

Wanted needing(std::vector<std::string> requirements, unsigned char version = 1) {
  Wanted one = wanted(version);
  one.requirements = std::move(requirements);
  return one;
}

Wanted following(std::vector<std::string> after) {
  Wanted one = wanted();
  one.after = std::move(after);
  return one;
}

/// db ← app ← web, all running.
Bench chain() {
  Bench bench;
  bench.begin({{"db", wanted()}, {"app", needing({"db"})}, {"web", needing({"app"})}});
  for (const char* name : {"db", "app", "web"}) bench.launched(name);
  return bench;
}

}  // namespace

TEST_CASE("a container starts when what it requires is ready", "[core]") {
  Wanted db = wanted();
  db.health = HealthCheck{};
  Bench bench;
  bench.begin({{"db", db}, {"app", needing({"db"})}});
  bench.launched("db");
  CHECK(bench.phase("app") == Phase::pending);
  CHECK(bench.container("app").waits_for == "db");
  bench.pass(first_probe_delay);
  bench.probed("db", true);
  CHECK(bench.phase("app") == Phase::starting);
}

TEST_CASE("after waits for the other's start, whichever way that ends", "[core]") {
  Bench bench;
  bench.begin({{"db", wanted()}, {"web", following({"db", "nobody"})}});
  CHECK(bench.phase("web") == Phase::pending);
  SECTION("it came up") {
    bench.launched("db");
  }
  SECTION("it failed") {
    bench.tell(event::LaunchFailed{bench.start("db"), "no"});
  }
  SECTION("it was stopped") {
    bench.ask(event::Ask::stop, "db");
    bench.tell(event::LaunchFailed{bench.start("db"), "cancelled"});
  }
  CHECK(bench.phase("web") == Phase::starting);
}

TEST_CASE("after does not wait for one that waits in vain", "[core]") {
  Wanted db = wanted();
  db.restart.policy = Policy::no;
  Bench bench;
  bench.begin({{"db", db}, {"app", needing({"db"})}, {"job", needing({"app"})}, {"web", following({"job"})}});
  CHECK(bench.phase("web") == Phase::pending);
  bench.tell(event::LaunchFailed{bench.start("db"), "no"});
  CHECK(bench.phase("app") == Phase::pending);
  CHECK(bench.phase("web") == Phase::starting);
}

TEST_CASE("a required task has to be done", "[core]") {
  Wanted clock = wanted();
  clock.run = Run::once;
  Bench bench;
  bench.begin({{"clock", clock}, {"web", needing({"clock"})}});
  bench.launched("clock");
  CHECK(bench.phase("web") == Phase::pending);
  bench.exits("clock");
  CHECK(bench.phase("web") == Phase::starting);
}

TEST_CASE("a stop takes along what requires it, the last first, and a start brings it back", "[core]") {
  Bench bench = chain();
  bench.ask(event::Ask::stop, "db");
  CHECK(bench.phase("web") == Phase::stopping);
  CHECK(bench.phase("app") == Phase::running);
  bench.exits("web", {.signal = 15});
  CHECK(bench.phase("app") == Phase::stopping);
  CHECK(bench.phase("db") == Phase::running);
  bench.exits("app", {.signal = 15});
  bench.exits("db", {.signal = 15});
  CHECK(bench.phase("db") == Phase::stopped);
  CHECK(bench.phase("web") == Phase::pending);
  CHECK(bench.reason("web") == "stopped with its requirement app");
  bench.ask(event::Ask::start, "db");
  for (const char* name : {"db", "app", "web"}) bench.launched(name);
  CHECK(bench.phase("web") == Phase::running);
}

TEST_CASE("a requirement that ends by itself takes nobody with it", "[core]") {
  Bench bench = chain();
  bench.exits("db", {.code = 1});
  CHECK(bench.phase("db") == Phase::backoff);
  CHECK(bench.phase("app") == Phase::running);
}

TEST_CASE("a replaced container is replaced together with what requires it", "[core]") {
  Bench bench = chain();
  bench.apply({{"db", wanted(2)}, {"app", needing({"db"})}, {"web", needing({"app"})}});
  for (const char* name : {"web", "app", "db"}) {
    CHECK(bench.phase(name) == Phase::stopping);
    bench.exits(name, {.signal = 15});
  }
  CHECK(bench.phase("db") == Phase::starting);
  CHECK(bench.phase("app") == Phase::pending);
  CHECK(bench.record("db").launched.digest == wanted(2).digest);
}

TEST_CASE("a shutdown stops everything in reverse order and then says so", "[core]") {
  Bench bench = chain();
  bench.tell(event::ShutdownAsked{});
  for (const char* name : {"web", "app", "db"}) {
    CHECK(bench.phase(name) == Phase::stopping);
    CHECK(bench.count<effect::ShutdownDone>() == 0);
    bench.exits(name, {.signal = 15});
  }
  CHECK(bench.count<effect::ShutdownDone>() == 1);
  CHECK(bench.count<effect::Launch>() == 0);
  bench.ask(event::Ask::start, "db");
  CHECK(bench.all<effect::Refused>().at(0).sentence == "orlop is shutting down");
}

TEST_CASE("what waits for itself waits and says for whom, and can be shut down", "[core]") {
  Bench bench;
  bench.begin({{"a", needing({"b"})}, {"b", needing({"a"})}});
  CHECK(bench.phase("a") == Phase::pending);
  CHECK(bench.container("a").waits_for == "b");
  bench.tell(event::ShutdownAsked{});
  CHECK(bench.count<effect::ShutdownDone>() == 1);
}
