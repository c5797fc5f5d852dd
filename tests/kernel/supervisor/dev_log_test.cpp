// `dev_log`, and what orlopd itself may do.
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/kernel/supervisor/instance.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

TEST_CASE("what a program says to /dev/log stands in its container's log, also after kill -9 of orlopd",
          "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.talker]
image   = "BUSYBOX"
dev_log = true
command = ["/bin/sh", "-c", "logger -p daemon.info first; while ! [ -e /tmp/go ]; do sleep 0.05; done; logger second; exec sleep 1000"]
health  = { exec = ["/bin/touch", "/tmp/go"], interval = "100ms", start_period = "0s" }
)"));
  orlop.await("talker", "running");
  orlop.await(
      "talker", [&](const auto&) { return orlop.log("talker").find("first") != std::string::npos; }, "its first line");
  orlop.kill_supervisor();
  orlop.await(
      "talker", [&](const auto&) { return orlop.log("talker").find("second") != std::string::npos; },
      "its second line");
  CHECK_THAT(orlop.log("talker"), Contains("<30>"));
}

TEST_CASE("without dev_log nobody listens on /dev/log", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.quiet]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "logger nothing; ls -l /dev/log; exec sleep 1000"]
)"));
  orlop.await(
      "quiet", [&](const auto&) { return orlop.log("quiet").find("/dev/log") != std::string::npos; }, "its line");
  CHECK_THAT(orlop.log("quiet"), !Contains("nothing"));
}

TEST_CASE("orlopd holds the capabilities that its page lists and no other", "[supervisor][root][cis/2.1]") {
  const Instance orlop;
  std::ifstream status("/proc/" + std::to_string(orlop.supervisor()) + "/status");
  std::string line;
  while (std::getline(status, line) && !line.starts_with("CapEff:")) continue;
  const std::uint64_t held = std::stoull(line.substr(8), nullptr, 16);
  // SYS_ADMIN SYS_CHROOT SYS_PTRACE SYS_RESOURCE SETUID SETGID SETPCAP CHOWN FOWNER DAC_OVERRIDE KILL MKNOD NET_ADMIN
  const std::uint64_t listed = 1ULL << 21 | 1ULL << 18 | 1ULL << 19 | 1ULL << 24 | 1ULL << 7 | 1ULL << 6 | 1ULL << 8 |
                               1ULL << 0 | 1ULL << 3 | 1ULL << 1 | 1ULL << 5 | 1ULL << 27 | 1ULL << 12;
  CHECK((held & ~listed) == 0);
  CHECK((held & 1ULL << 21) != 0);
}
