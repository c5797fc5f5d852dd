// Health checks as an operator sees them: run inside the container, told in one line, and kept up by each new orlopd.
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/instance.hpp"

using namespace orlop;

namespace {

// Healthy while /tmp/well is there, which the payload makes and the check counts its runs in.
constexpr const char* counted = R"(
[container.counted]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "touch /tmp/well; exec sleep 1000"]
init    = true
health  = { exec = ["/bin/sh", "-c", "echo >> /tmp/well; wc -l < /tmp/well"], interval = "100ms", retries = 1 }
)";

bool is_healthy(const nlohmann::json& seen) {
  return seen.at("health") == "healthy";
}

}  // namespace

TEST_CASE("what a failed health check printed is the reason, without its line end", "[supervisor][health][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.ill]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
init    = true
health  = { exec = ["/bin/sh", "-c", "echo no disk; exit 1"], interval = "100ms", retries = 1 }
restart = { policy = "no" }
)"));
  CHECK(orlop.await("ill", "failed").at("reason") == "unhealthy: no disk");
}

TEST_CASE("a new orlopd goes on checking, also where it may open fewer files than its predecessor",
          "[supervisor][health][root]") {
  Instance orlop;
  need(orlop.apply(counted));
  const nlohmann::json before = orlop.await("counted", is_healthy, "healthy");
  const rlimit fewer{.rlim_cur = 4096, .rlim_max = 4096};
  REQUIRE(::prlimit(orlop.guardian(), RLIMIT_NOFILE, &fewer, nullptr) == 0);
  orlop.kill_supervisor();
  const nlohmann::json after = orlop.await(
      "counted",
      [&](const nlohmann::json& seen) {
        return seen.at("state") != "running" ||
               (is_healthy(seen) && seen.at("health_output") != before.at("health_output"));
      },
      "a check after the kill");
  CHECK(after.at("pid") == before.at("pid"));
  CHECK(after.at("reason") == before.at("reason"));
}
