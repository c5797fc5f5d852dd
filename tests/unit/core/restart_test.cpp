#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

namespace {

Bench running(const Wanted& web) {
  Bench bench;
  bench.begin({{"web", web}});
  bench.launched("web");
  return bench;
}

Duration delay_of(Bench& bench) {
  return *bench.record("web").wake_at - bench.now;
}

}  // namespace

TEST_CASE("what follows an exit is the policy's", "[core]") {
  struct Row {
    Policy policy;
    Phase after_success;
    Phase after_failure;
  };
  for (const Row& row :
       {Row{Policy::no, Phase::stopped, Phase::failed}, Row{Policy::on_failure, Phase::stopped, Phase::backoff},
        Row{Policy::always, Phase::backoff, Phase::backoff},
        Row{Policy::unless_stopped, Phase::backoff, Phase::backoff}}) {
    Wanted web = wanted();
    web.restart.policy = row.policy;
    Bench success = running(web);
    success.exits("web");
    CHECK(success.phase("web") == row.after_success);
    CHECK(success.reason("web") == "exited 0");
    Bench failure = running(web);
    failure.exits("web", {.signal = 11});
    CHECK(failure.phase("web") == row.after_failure);
    CHECK(failure.reason("web") == "signal SIGSEGV");
  }
}

TEST_CASE("the backoff doubles up to its maximum, and begins again after a run of that length", "[core][T72]") {
  Bench bench = running(wanted());
  for (const Duration expected : {1s, 2s, 4s, 8s, 10s, 10s}) {
    bench.exits("web", {.code = 1});
    REQUIRE(bench.phase("web") == Phase::backoff);
    CHECK(delay_of(bench) == expected);
    bench.pass(expected - 1ns);
    CHECK(bench.phase("web") == Phase::backoff);
    bench.pass(1ns);
    CHECK(bench.phase("web") == Phase::starting);
    bench.launched("web");
  }
  CHECK(bench.record("web").restarts == 6);
  bench.now += 10s;
  bench.exits("web", {.code = 1});
  CHECK(delay_of(bench) == 1s);
}

TEST_CASE("a failed launch is a failure like another", "[core]") {
  Bench bench;
  bench.begin({{"web", wanted()}});
  bench.tell(event::LaunchFailed{1, "cannot execute '/bin/x': No such file or directory (ENOENT)"});
  CHECK(bench.phase("web") == Phase::backoff);
  CHECK(bench.reason("web") == "cannot start: cannot execute '/bin/x': No such file or directory (ENOENT)");
}

TEST_CASE("more restarts than the limit within the window are the end, until someone asks again", "[core][T72]") {
  Wanted web = wanted();
  web.restart.limit = 2;
  web.restart.window = 1min;
  Bench bench = running(web);
  for (int i = 0; i < 2; ++i) {
    bench.exits("web", {.code = 1});
    bench.pass(10s);
    bench.launched("web");
  }
  SECTION("within it") {
    bench.exits("web", {.code = 1});
    CHECK(bench.phase("web") == Phase::failed);
    CHECK(bench.reason("web") == "restart limit (2 within 1min; last: exited 1)");
    bench.pass(24h);
    CHECK(bench.phase("web") == Phase::failed);
    bench.ask(event::Ask::start, "web");
    CHECK(bench.phase("web") == Phase::starting);
    CHECK(bench.record("web").restarts == 0);
  }
  SECTION("the window moves on") {
    bench.now += 1min;
    bench.exits("web", {.code = 1});
    CHECK(bench.phase("web") == Phase::backoff);
  }
}

TEST_CASE("a task is done when it has ended with 0, and failed otherwise", "[core]") {
  Wanted task = wanted();
  task.run = Run::once;
  Bench bench = running(task);
  bench.exits("web");
  CHECK(bench.phase("web") == Phase::stopped);
  CHECK(bench.record("web").done);
  bench.apply({{"web", task}});
  CHECK(bench.phase("web") == Phase::stopped);
  task.digest = wanted(2).digest;
  bench.apply({{"web", task}});
  CHECK(bench.phase("web") == Phase::starting);
  bench.launched("web");
  bench.exits("web", {.code = 2});
  CHECK(bench.phase("web") == Phase::failed);
}

TEST_CASE("extreme bounds of the backoff do not overflow", "[core]") {
  Wanted web = wanted();
  web.restart.backoff_min = web.restart.backoff_max = Duration::max() / 4;
  Bench bench = running(web);
  bench.exits("web", {.code = 1});
  CHECK(delay_of(bench) == Duration::max() / 4);
}
