// From a five-line host.toml to a contained process, over the real programs.
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/digest.hpp"
#include "tests/kernel/supervisor/instance.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

TEST_CASE("a five-line host file runs a contained busybox, and its log can be read", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.hello]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "echo hello from $(id -u) as $$; exec sleep 1000"]
stop.grace = "0s"
)"));
  const nlohmann::json running = orlop.await("hello", "running");
  CHECK(running.at("pid") > 0);
  CHECK_THAT(running.at("image").get<std::string>(), Contains("busybox@sha256:"));
  orlop.await(
      "hello", [&](const auto&) { return orlop.log("hello") == "hello from 1000 as 1\n"; }, "its line in the log");
}

TEST_CASE("kill -9 of orlopd leaves its containers running, and the next one knows them",
          "[supervisor][root][T66][cis/2.15]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.steady]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.05; done"]
stop.grace = "0s"
)"));
  const nlohmann::json before = orlop.await("steady", "running");
  for (int i = 0; i < 3; ++i) orlop.kill_supervisor();
  const nlohmann::json after = orlop.await("steady", "running");
  CHECK(after.at("pid") == before.at("pid"));
  CHECK(after.at("start") == before.at("start"));
  CHECK(after.at("restarts") == 0);
}

TEST_CASE("after a clean shutdown nothing of an instance is left in any hierarchy", "[supervisor][root][maturity/H1]") {
  const auto groups = [](const std::string& name) {
    std::string found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator("/sys/fs/cgroup"))
      if (entry.is_directory() && entry.path().filename() == name) found += entry.path().string() + "\n";
    return found;
  };
  std::string name;
  {
    Instance orlop;
    need(orlop.apply(
        "[container.one]\nimage = \"BUSYBOX\"\ncommand = [\"/bin/sleep\", \"1000\"]\nstop = { grace = \"100ms\" }\n"));
    orlop.await("one", "running");
    name = "orlop-" + hex(sha256(orlop.root() + "/state")).substr(0, 12);
    CHECK_FALSE(groups(name).empty());
  }
  CHECK(groups(name).empty());
}
