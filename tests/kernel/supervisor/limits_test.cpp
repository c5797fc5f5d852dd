// Limits bite where the host file says so, and inspect shows what is used.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using std::chrono::seconds;

TEST_CASE("a memory hog is killed whole and started afresh, with limit and peak in its reason",
          "[supervisor][root][T34][cis/5.11]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.hog]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "sleep 1000 & echo $$; dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1000"]
resources.memory.max = "24MiB"
restart = { backoff.min = "50ms", limit = 2, window = "1min" }
[container.neighbour]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)"));
  const pid_t neighbour = orlop.await("neighbour", "running").at("pid");
  const nlohmann::json hog = orlop.await("hog", "failed");
  CHECK(hog.at("restarts") == 2);
  CHECK_THAT(hog.at("reason").get<std::string>(), Contains("oom (limit 24MiB, peak 24MiB)"));
  CHECK_THAT(orlop.log("hog"), Contains("1\n"));
  CHECK(orlop.inspect("neighbour").at("pid") == neighbour);
  CHECK(contained(orlop) == std::set<pid_t>{neighbour});
}

TEST_CASE("cpu.max = 0.5 lets a busy loop take half a CPU, and usage shows it", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.busy]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "while :; do :; done"]
resources.cpu.max = 0.5
resources.cpu.weight = 10000
stop.grace = "0s"
)"));
  orlop.await("busy", "running");
  const auto used = [&] { return orlop.inspect("busy").at("usage").at("cpu_ns").get<double>(); };
  // A machine that is busy with other work gives it less in some windows; it must never get more.
  double share = 0;
  await_that(
      [&] {
        const double before = used();
        const BootTime begin = BootClock::now();
        await_that([&] { return BootClock::now() - begin > seconds(2); }, "two seconds are over");
        share = (used() - before) / static_cast<double>((BootClock::now() - begin).count());
        CHECK(share < 0.55);
        return share > 0.45;
      },
      "it takes half a CPU", seconds(60));
}

TEST_CASE("a container has the processes, the CPUs and the files that the host file gives it",
          "[supervisor][root][T33][cis/5.29]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.many]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "(while :; do sleep 1000 & done); exec sleep 1000"]
resources.pids = 16
cpus = "0"
rlimits = { nproc = 1000, nofile = 99, stack = { soft = "1MiB", hard = "2MiB" } }
hostname = "inside.example"
stop.grace = "0s"
)"));
  const nlohmann::json many = orlop.await(
      "many",
      [](const nlohmann::json& now) { return now.at("usage").is_object() && now.at("usage").at("pids_refused") > 0; },
      "a refused fork");
  CHECK(many.at("usage").at("pids") <= 16);
  CHECK(many.at("limits").at("pids_max") == 16);
  const pid_t pid = many.at("pid");
  CHECK(proc_status(pid, "Cpus_allowed_list") == "0");
  const std::string limits = read_text(fmt::format("/proc/{}/limits", pid));
  CHECK_THAT(limits, Catch::Matchers::Matches("[^]*Max open files +99 +99 [^]*"));
  CHECK_THAT(limits, Catch::Matchers::Matches("[^]*Max stack size +1048576 +2097152 [^]*"));
  CHECK_THAT(limits, Catch::Matchers::Matches("[^]*Max core file size +1 +1 [^]*"));
  CHECK_THAT(limits, Catch::Matchers::Matches("[^]*Max processes +1000 +1000 [^]*"));
}

TEST_CASE("a tmpfs ends at its size and at its inodes", "[supervisor][root][T36]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.fill]
image   = "BUSYBOX"
run     = "once"
command = ["/bin/sh", "-c", "exec 2>&1; dd if=/dev/zero of=/tmp/big bs=1M count=4; i=0; while touch /run/$i; do i=$((i+1)); done; echo files $i; stat -c '%a %u:%g' /tmp /run"]
tmpfs = { "/tmp" = { size = "1MiB", mode = "0700" }, "/run" = { size = "1MiB", inodes = 50 } }
)"));
  need(orlop.client().wait("fill"));
  const std::string log = orlop.log("fill");
  CHECK_THAT(log, Contains("No space left on device") && Contains("files 49\n"));
  CHECK_THAT(log, Contains("700 1000:1000\n755 1000:1000\n"));
}
