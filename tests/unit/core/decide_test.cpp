#include "supervisor/core/decide.hpp"

#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

TEST_CASE("a container is launched only after its number and its record are on disk", "[core][T66]") {
  Bench bench;
  bench.writes_succeed = false;
  bench.begin({{"web", wanted()}});
  CHECK(bench.phase("web") == Phase::pending);
  CHECK(bench.container("web").waits_for == "a start number");

  bench.tell(event::Reserved{reserve_block});
  CHECK(bench.phase("web") == Phase::preparing);
  CHECK(bench.count<effect::Launch>() == 0);
  const auto write = bench.all<effect::Persist>().at(0);
  CHECK(write.record.start == 1);

  bench.tell(event::Persisted{"web", write.revision});
  CHECK(bench.phase("web") == Phase::starting);
  CHECK(bench.all<effect::Launch>().at(0).start == 1);
}

TEST_CASE("a full disk holds a start back, is told once, and the write is tried again", "[core]") {
  Bench bench;
  bench.begin({});
  bench.writes_succeed = false;
  bench.apply({{"web", wanted()}});
  for (int i = 0; i < 3; ++i) {
    bench.tell(event::PersistFailed{"web", bench.container("web").revision, "No space left on device (ENOSPC)"});
    CHECK(bench.count<effect::Announce>() == (i == 0 ? 1 : 0));
    CHECK(bench.container("web").trouble == "No space left on device (ENOSPC)");
    bench.pass(retry_delay);
    CHECK(bench.count<effect::Persist>() == 1);
    CHECK(bench.count<effect::Launch>() == 0);
  }
  bench.writes_succeed = true;
  bench.tell(event::Persisted{"web", bench.container("web").revision});
  CHECK(bench.count<effect::Launch>() == 1);
  CHECK(bench.container("web").trouble.empty());
}

TEST_CASE("an exit is acknowledged after it is recorded; told again it is acknowledged again and nothing more",
          "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  bench.launched("web");
  bench.writes_succeed = bench.cleanups_succeed = false;
  bench.exits("web", {.code = 3});
  CHECK(bench.record("web").exit == ExitStatus{.code = 3});
  CHECK(bench.count<effect::AckExit>() == 0);
  bench.exits("web", {.code = 3});
  CHECK(bench.effects.empty());
  bench.tell(event::Persisted{"web", bench.container("web").revision});
  CHECK(bench.count<effect::AckExit>() == 1);
  bench.exits("web", {.code = 3});
  CHECK(bench.count<effect::AckExit>() == 1);
  CHECK(bench.count<effect::Announce>() == 0);
}

TEST_CASE("an exit of a start that no container knows is put away and acknowledged", "[core]") {
  Bench bench;
  bench.begin({});
  bench.tell(event::Exited{4711, {}});
  CHECK(bench.all<effect::AckExit>().at(0).start == 4711);
  CHECK(bench.all<effect::Cleanup>().at(0).start == 4711);
}

TEST_CASE("a stop sends the container's signal, and kills the group when the grace is over", "[core][T39]") {
  Wanted web = wanted();
  web.stop = {.signal = 3, .grace = 7s};
  Bench bench;
  bench.begin({{"web", web}});
  bench.launched("web");
  bench.ask(event::Ask::stop, "web");
  CHECK(bench.all<effect::Signal>().at(0).signal == 3);
  CHECK(bench.count<effect::KillGroup>() == 0);
  CHECK(bench.all<effect::WakeAt>().at(0).at == bench.now + 7s);

  bench.pass(7s);
  CHECK(bench.count<effect::KillGroup>() == 1);
  bench.pass(kill_again_delay);
  CHECK(bench.count<effect::KillGroup>() == 1);
  CHECK(bench.count<effect::Announce>() == 0);
  bench.exits("web", {.signal = 9});
  CHECK(bench.phase("web") == Phase::stopped);
  CHECK(bench.reason("web") == "killed after 7s (stopped by operator)");
}

TEST_CASE("a stop is heeded in every phase", "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  SECTION("while it is being launched its group is killed, and again when the launch comes late") {
    bench.ask(event::Ask::stop, "web");
    CHECK(bench.count<effect::KillGroup>() == 1);
    bench.launched("web");
    CHECK(bench.count<effect::KillGroup>() == 1);
    bench.exits("web", {.signal = 9});
  }
  SECTION("a launch that fails meanwhile is its end") {
    bench.ask(event::Ask::stop, "web");
    bench.tell(event::LaunchFailed{bench.start("web"), "cancelled"});
  }
  SECTION("in backoff it does not start any more") {
    bench.launched("web");
    bench.exits("web", {.code = 1});
    REQUIRE(bench.phase("web") == Phase::backoff);
    bench.ask(event::Ask::stop, "web");
    bench.pass(1h);
  }
  CHECK(bench.phase("web") == Phase::stopped);
  CHECK(bench.reason("web") == "stopped by operator");
  bench.ask(event::Ask::start, "web");
  CHECK(bench.phase("web") == Phase::starting);
}

TEST_CASE("a signal of an operator is delivered and nothing more: the restart policy judges what comes of it",
          "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  bench.launched("web");
  bench.ask(event::Ask::kill, "web", 1);
  CHECK(bench.all<effect::Signal>().at(0).signal == 1);
  CHECK(bench.phase("web") == Phase::running);
  bench.exits("web", {.signal = 1});
  CHECK(bench.phase("web") == Phase::backoff);
  bench.ask(event::Ask::kill, "web");
  CHECK(bench.all<effect::Refused>().at(0).sentence == "container 'web' is backoff: it has no process to signal");
}

TEST_CASE("a restart by an operator is a stop and a start with the next number", "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  bench.launched("web");
  bench.ask(event::Ask::restart, "web");
  CHECK(bench.phase("web") == Phase::stopping);
  bench.exits("web", {.signal = 15});
  CHECK(bench.phase("web") == Phase::starting);
  CHECK(bench.start("web") == 2);
  CHECK(bench.reason("web") == "restarted by operator");
}

TEST_CASE("out of memory kills what is left of the group and is the reason", "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  bench.launched("web");
  SECTION("told by the exit") {
    bench.tell(event::Exited{1, {.signal = 9}, true, "limit 64MiB, peak 64MiB"});
  }
  SECTION("told before the exit") {
    bench.tell(event::OomSeen{1, "limit 64MiB, peak 64MiB"});
    CHECK(bench.count<effect::KillGroup>() == 1);
    CHECK(bench.count<effect::Signal>() == 0);
    bench.exits("web", {.signal = 9});
  }
  CHECK(bench.phase("web") == Phase::backoff);
  CHECK(bench.reason("web") == "oom (limit 64MiB, peak 64MiB)");
}

TEST_CASE("the next start waits until the last one is put away", "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  bench.launched("web");
  bench.cleanups_succeed = false;
  bench.ask(event::Ask::restart, "web");
  bench.exits("web", {.signal = 15});
  bench.tell(event::CleanupFailed{1, "Device or resource busy (EBUSY)"});
  CHECK(bench.phase("web") == Phase::exited);
  CHECK(bench.container("web").trouble == "Device or resource busy (EBUSY)");
  bench.cleanups_succeed = true;
  bench.pass(retry_delay);
  CHECK(bench.phase("web") == Phase::starting);
}

TEST_CASE("a late answer to a write of a removed container fits no later one of its name", "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  const std::uint64_t old = bench.container("web").revision;
  bench.tell(event::LaunchFailed{1, "no"});
  bench.apply({});
  REQUIRE(bench.phase("web") == Phase::gone);
  bench.writes_succeed = false;
  bench.apply({{"web", wanted()}});
  bench.tell(event::Persisted{"web", old + 2});
  CHECK(bench.count<effect::Launch>() == 0);
}
