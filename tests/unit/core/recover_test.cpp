#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

namespace {

/// The successor of `bench`: what is on disk, and what the guardian says of web's start.
Bench successor(const Bench& bench, std::vector<event::Found> found, const HostWanted& host,
                const std::string& era = "1", bool hands_off = false) {
  event::Recovered recovered;
  recovered.wanted = host;
  for (const auto& [name, container] : bench.state.containers) recovered.records[name] = container.record;
  recovered.found = std::move(found);
  recovered.reserved = bench.state.reserved;
  recovered.era = era;
  recovered.hands_off = hands_off;
  Bench next;
  next.now = bench.now + 500ms;
  next.tell(recovered);
  return next;
}

const HostWanted host{{"web", wanted()}};

Bench running() {
  Bench bench;
  bench.begin(host);
  bench.launched("web");
  return bench;
}

}  // namespace

TEST_CASE("a container that is alive is adopted and not touched", "[core][T66]") {
  Bench next = successor(running(), {{1, event::Alive{}}}, host);
  CHECK(next.phase("web") == Phase::running);
  CHECK(next.start("web") == 1);
  CHECK(next.count<effect::Signal>() + next.count<effect::KillGroup>() + next.count<effect::Launch>() == 0);
}

TEST_CASE("a launch whose outcome orlopd did not live to see is taken as it went", "[core][T66]") {
  Bench bench;
  bench.begin(host);
  REQUIRE(bench.phase("web") == Phase::starting);
  bench.record("web").phase = GENERATE(Phase::preparing, Phase::starting);  // either may be what the disk has
  SECTION("its program runs") {
    CHECK(successor(bench, {{1, event::Alive{}}}, host).phase("web") == Phase::running);
  }
  SECTION("its child ended at the gate, and was known to the guardian or was not: it is no failure") {
    for (const auto& found : {std::vector<event::Found>{{1, event::NeverRan{}}}, std::vector<event::Found>{}}) {
      Bench next = successor(bench, found, host);
      CHECK(next.phase("web") == Phase::starting);
      CHECK(next.start("web") > 1);
      CHECK(next.record("web").failures == 0);
    }
  }
  SECTION("it failed") {
    Bench next = successor(bench, {{1, event::LaunchFailed{1, "no such file"}}}, host);
    CHECK(next.phase("web") == Phase::backoff);
    CHECK(next.reason("web") == "cannot start: no such file");
  }
}

TEST_CASE("an exit that waited with the guardian is told, recorded and acknowledged", "[core][T66]") {
  Bench next = successor(running(), {{1, event::Exited{1, {.code = 4}}}}, host);
  CHECK(next.phase("web") == Phase::backoff);
  CHECK(next.reason("web") == "exited 4");
  CHECK(next.count<effect::AckExit>() == 1);
}

TEST_CASE("an exit that is recorded already is acknowledged and not told again", "[core][T66]") {
  Bench bench = running();
  bench.exits("web", {.code = 4});
  Bench next = successor(bench, {{1, event::Exited{1, {.code = 4}}}}, host);
  CHECK(next.count<effect::AckExit>() == 1);
  CHECK(next.phase("web") == Phase::backoff);
  for (const auto& said : next.all<effect::Announce>()) CHECK(said.step != Step::exit);
}

TEST_CASE("a start that no record names is ended", "[core][T66]") {
  Bench next = successor(running(), {{1, event::Alive{}}, {99, event::Alive{}}, {98, event::Exited{98, {}}}}, host);
  CHECK(next.all<effect::KillGroup>().back().start == 99);
  CHECK(next.all<effect::AckExit>().at(0).start == 98);
}

TEST_CASE("a stop goes on where it was: the grace counts from its beginning", "[core][T66]") {
  Bench bench = running();
  bench.ask(event::Ask::stop, "web");
  Bench next = successor(bench, {{1, event::Alive{}}}, host);
  CHECK(next.phase("web") == Phase::stopping);
  next.pass(9500ms);
  CHECK(next.count<effect::KillGroup>() == 1);
}

TEST_CASE("start numbers are never used again, whatever the last orlopd had used of its block", "[core]") {
  Bench bench = running();
  Bench next = successor(bench, {}, host, "2");
  CHECK(next.start("web") == bench.state.reserved + 1);
}

TEST_CASE("in a new era everything that is wished for starts at once, and only unless-stopped keeps a stop", "[core]") {
  Wanted keeps = wanted();
  keeps.restart.policy = Policy::unless_stopped;
  const HostWanted both{{"keeps", keeps}, {"web", wanted()}};
  Bench bench;
  bench.begin(both);
  for (const char* name : {"keeps", "web"}) {
    bench.launched(name);
    bench.ask(event::Ask::stop, name);
    CHECK(bench.all<effect::Persist>().at(0).durability == Durability::power_loss);
    bench.exits(name, {.signal = 15});
  }
  Bench same = successor(bench, {}, both);
  CHECK(same.phase("web") == Phase::stopped);
  Bench next = successor(bench, {}, both, "2");
  CHECK(next.phase("keeps") == Phase::stopped);
  CHECK(next.phase("web") == Phase::starting);
}

TEST_CASE("what ran when the guardian ended is lost, told, and started again whatever its policy", "[core]") {
  Wanted web = wanted();
  web.restart.policy = Policy::no;
  Bench bench;
  bench.begin({{"web", web}});
  bench.launched("web");
  Bench next = successor(bench, {}, {{"web", web}}, "2");
  CHECK(next.phase("web") == Phase::starting);
  CHECK(next.reason("web") == "lost: it ended together with the host or the guardian");
  // The one after a crash in the midst of that knows it too: nothing was written of the new era yet.
  CHECK(successor(bench, {}, {{"web", web}}, "2").phase("web") == Phase::starting);
}

TEST_CASE("with its hands off orlopd adopts and reports, and starts nothing until an operator asks", "[core]") {
  Bench next =
      successor(running(), {{1, event::Exited{1, {.code = 4}}}}, {{"web", wanted()}, {"db", wanted()}}, "1", true);
  next.pass(1h);
  CHECK(next.phase("web") == Phase::pending);
  CHECK(next.phase("db") == Phase::pending);
  next.ask(event::Ask::start, "web");
  CHECK(next.phase("web") == Phase::starting);
  CHECK(next.phase("db") == Phase::starting);
}

TEST_CASE("a host file that was kept and not taken in is taken in by the next orlopd", "[core]") {
  Bench next = successor(running(), {{1, event::Alive{}}}, {{"web", wanted(2)}, {"db", wanted()}});
  CHECK(next.phase("web") == Phase::stopping);
  CHECK(next.phase("db") == Phase::starting);
  Bench removed = successor(running(), {{1, event::Alive{}}}, {});
  CHECK(removed.phase("web") == Phase::stopping);
  removed.exits("web", {.signal = 15});
  CHECK(removed.phase("web") == Phase::gone);
  CHECK(removed.count<effect::Forget>() == 1);
}
