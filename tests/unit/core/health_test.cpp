#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

namespace {

Wanted checked() {
  Wanted web = wanted();
  web.health = HealthCheck{.interval = 10s, .timeout = 2s, .retries = 2, .start_period = 5s};
  return web;
}

Bench running(const Wanted& web) {
  Bench bench;
  bench.begin({{"web", web}});
  bench.launched("web");
  return bench;
}

}  // namespace

TEST_CASE("a checked container is starting until its first success", "[core]") {
  Bench bench = running(checked());
  CHECK(bench.container("web").health == Health::starting);
  CHECK_FALSE(is_ready(bench.container("web")));
  bench.pass(first_probe_delay);
  CHECK(bench.count<effect::Probe>() == 1);
  bench.probed("web", true);
  CHECK(bench.container("web").health == Health::healthy);
  CHECK(is_ready(bench.container("web")));
  CHECK(bench.container("web").probe_at == bench.now + 10s);
}

TEST_CASE("failures within the start period do not count", "[core]") {
  Bench bench = running(checked());
  for (int i = 0; i < 4; ++i) {
    bench.pass(first_probe_delay);
    bench.probed("web", false);
  }
  CHECK(bench.phase("web") == Phase::running);
  CHECK(bench.container("web").probe_failures == 0);
}

TEST_CASE("as many failures in a row as retries make it unhealthy, and then it is restarted, stopped or reported",
          "[core]") {
  Wanted web = checked();
  web.health->then = GENERATE(Unhealthy::restart, Unhealthy::stop, Unhealthy::report);
  Bench bench = running(web);
  bench.pass(6s);
  bench.probed("web", false);
  CHECK(bench.phase("web") == Phase::running);
  bench.pass(10s);
  bench.pass(2s);  // no answer at all
  CHECK(bench.count<effect::EndProbe>() == 1);
  if (web.health->then == Unhealthy::report) {
    CHECK(bench.phase("web") == Phase::running);
    CHECK(bench.container("web").health == Health::unhealthy);
    bench.pass(10s);
    bench.probed("web", true);
    CHECK(bench.container("web").health == Health::healthy);
    return;
  }
  CHECK(bench.phase("web") == Phase::stopping);
  bench.exits("web");
  CHECK(bench.reason("web") == "unhealthy: no answer within 2s");
  CHECK(bench.phase("web") == (web.health->then == Unhealthy::restart ? Phase::backoff : Phase::failed));
}

TEST_CASE("the answer of a probe that was given up is refused", "[core]") {
  Bench bench = running(checked());
  bench.pass(first_probe_delay);
  const std::uint64_t late = bench.container("web").probe;
  bench.pass(2s);
  bench.tell(event::Probed{1, late, true});
  CHECK(bench.count<effect::Refused>() == 1);
  CHECK(bench.container("web").health == Health::starting);
}
