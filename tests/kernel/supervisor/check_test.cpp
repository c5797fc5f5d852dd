// Health checks: run inside the container, judged by their exit, and bounded in time.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using std::chrono::seconds;

TEST_CASE("a container that becomes unhealthy is restarted from its sealed image, with the check's words as reason",
          "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.web]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "touch /tmp/alive; exec sleep 1000"]
health  = { exec = ["/bin/sh", "-c", "test -e /tmp/alive || { echo it is dead; touch /run/seen; exit 1; }"], interval = "100ms", retries = 2 }
restart.backoff.min = "50ms"
stop.grace = "0s"
[container.breaker]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)"));
  const auto is_healthy = [](const nlohmann::json& now) { return now.at("health") == "healthy"; };
  const nlohmann::json first = orlop.await("web", is_healthy, "healthy");
  CHECK(orlop.inspect("breaker").at("health") == "none");
  // From outside, as a fault would: the file that the check looks for goes.
  need(shell(fmt::format("rm /proc/{}/root/tmp/alive", first.at("pid").get<pid_t>())).exit_code == 0);
  const nlohmann::json second = orlop.await(
      "web", [&](const nlohmann::json& now) { return is_healthy(now) && now.at("start") != first.at("start"); },
      "healthy again");
  CHECK(second.at("restarts") == 1);
  CHECK_THAT(second.at("reason").get<std::string>(), Contains("(unhealthy: it is dead)"));
  CHECK(orlop.inspect("breaker").at("restarts") == 0);
  CHECK_FALSE(is_alive(first.at("pid")));
}

TEST_CASE("a check that hangs is killed after its timeout with all its children, and holds up nobody",
          "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.stuck]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
health  = { exec = ["/bin/sh", "-c", "trap '' TERM; setsid sleep 4242 & (sleep 4242 &) ; sleep 4242"], interval = "100ms", timeout = "400ms", retries = 2 }
restart.policy = "no"
stop.grace = "0s"
)"));
  orlop.await("stuck", "running");
  BootTime begin = BootClock::now();
  Duration slowest{};
  const nlohmann::json ended = orlop.await(
      "stuck",
      [&](const nlohmann::json& now) {
        const BootTime asked = std::exchange(begin, BootClock::now());
        slowest = std::max(slowest, begin - asked);
        return now.at("state") == "failed";
      },
      "failed");
  CHECK(slowest < seconds(2));
  CHECK_THAT(ended.at("reason").get<std::string>(), Contains("unhealthy: no answer within 400ms"));
  CHECK(contained(orlop).empty());
  CHECK(descendants(orlop.guardian()) == std::set<pid_t>{orlop.supervisor()});
}

TEST_CASE("a check that hangs leaves no process behind while its container runs on", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.stuck]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
health  = { exec = ["/bin/sh", "-c", "echo round >>/tmp/rounds; setsid sleep 4242 & sleep 4242"], interval = "100ms", timeout = "200ms", retries = 100 }
stop.grace = "0s"
)"));
  const pid_t pid = orlop.await("stuck", "running").at("pid");
  const std::string rounds = fmt::format("/proc/{}/root/tmp/rounds", pid);
  await_that([&] { return read_text(rounds).size() >= 5 * sizeof("round"); }, "five rounds are over");
  // Its first process, and at most the shell and two sleeps of the check under way.
  CHECK(contained(orlop).size() <= 4);
}

TEST_CASE("a health check is confined as its container is", "[supervisor][root][T14][T17]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.web]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
health  = { exec = ["/bin/sh", "-c", "cat /proc/self/status; ls -l /proc/self/fd; cat /proc/self/cgroup; exit 1"], interval = "100ms", retries = 100 }
stop.grace = "0s"
)"));
  const nlohmann::json seen =
      orlop.await("web", [](const nlohmann::json& now) { return now.at("health_output") != ""; }, "a check's output");
  const std::string output = seen.at("health_output");
  CHECK_THAT(output, Contains("CapEff:\t0000000000000000") && Contains("CapBnd:\t0000000000000000") &&
                         Contains("NoNewPrivs:\t1") && Contains("Seccomp:\t2") && Contains("Uid:\t1000\t1000"));
}
