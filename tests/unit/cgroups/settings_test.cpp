#include "cgroups/settings.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace orlop;
using namespace orlop::cgroups;

namespace {

Facts facts_with(Version version) {
  return {.kind = version == Version::v2 ? Kind::unified : Kind::hybrid,
          .group = "orlop-x",
          .controllers = {{Controller::cpu, version}, {Controller::memory, version}, {Controller::pids, version}},
          .swap_limit = true,
          .device_filter = true,
          .lacking = {}};
}

Facts without(Facts facts, Controller controller) {
  std::erase_if(facts.controllers, [controller](const auto& usable) { return usable.first == controller; });
  return facts;
}

std::string value_of(const std::vector<Setting>& all, const std::string& file) {
  const auto found = std::ranges::find(all, file, &Setting::file);
  return found == all.end() ? "unset" : found->value;
}

}  // namespace

TEST_CASE("the default limits on v2 are finite and kill as a whole", "[cgroups][T33][T34]") {
  const std::vector<Setting> all = settings({}, facts_with(Version::v2)).value();
  CHECK(value_of(all, "pids.max") == "256");
  CHECK(value_of(all, "cpu.weight") == "100");
  CHECK(value_of(all, "cpu.max") == "100000 100000");
  CHECK(value_of(all, "memory.max") == "268435456");
  CHECK(value_of(all, "memory.swap.max") == "0");
  CHECK(value_of(all, "memory.oom.group") == "1");
  CHECK(value_of(all, "memory.high") == "unset");
  CHECK(value_of(all, "memory.min") == "unset");
  CHECK(value_of(all, "cpuset.cpus") == "unset");
}

TEST_CASE("the default limits on v1 are the same in its words", "[cgroups]") {
  const std::vector<Setting> all = settings({}, facts_with(Version::v1)).value();
  CHECK(value_of(all, "pids.max") == "256");
  CHECK(value_of(all, "cpu.shares") == "1024");
  CHECK(value_of(all, "cpu.cfs_period_us") == "100000");
  CHECK(value_of(all, "cpu.cfs_quota_us") == "100000");
  CHECK(value_of(all, "memory.limit_in_bytes") == "268435456");
  CHECK(value_of(all, "memory.memsw.limit_in_bytes") == "268435456");
  CHECK(value_of(all, "memory.swappiness") == "0");
}

TEST_CASE("on v1 the limit of memory and swap together is written after that of memory", "[cgroups]") {
  const std::vector<Setting> all = settings({.swap_max = 64_MiB}, facts_with(Version::v1)).value();
  const auto memory = std::ranges::find(all, "memory.limit_in_bytes", &Setting::file);
  const auto both = std::ranges::find(all, "memory.memsw.limit_in_bytes", &Setting::file);
  CHECK(memory < both);
  CHECK(both->value == "335544320");
}

TEST_CASE("minimum, throttling and CPUs are written where they were asked for", "[cgroups]") {
  Facts facts = facts_with(Version::v2);
  facts.controllers.emplace_back(Controller::cpuset, Version::v2);
  const Limits limits{.cpu_max_millis = 1500, .memory_high = 200_MiB, .memory_min = 64_MiB, .cpus = "0-1"};
  const std::vector<Setting> all = settings(limits, facts).value();
  CHECK(value_of(all, "cpu.max") == "150000 100000");
  CHECK(value_of(all, "memory.high") == "209715200");
  CHECK(value_of(all, "memory.min") == "67108864");
  CHECK(value_of(all, "cpuset.cpus") == "0-1");
}

TEST_CASE("what v1 cannot keep is refused, never dropped", "[cgroups]") {
  const Facts facts = facts_with(Version::v1);
  CHECK(settings({.memory_min = 1_MiB}, facts).error().kind == ErrorKind::unsupported);
  CHECK(settings({.memory_high = 1_MiB}, facts).error().kind == ErrorKind::unsupported);
  CHECK(settings({.cpus = "0"}, facts).error().kind == ErrorKind::unsupported);
}

TEST_CASE("without the cpu, memory or pids controller there are no settings", "[cgroups]") {
  for (const Controller controller : {Controller::cpu, Controller::memory, Controller::pids}) {
    const Result<std::vector<Setting>> all = settings({}, without(facts_with(Version::v2), controller));
    REQUIRE_FALSE(all);
    CHECK(sentence(all.error()).find(to_string(controller)) != std::string::npos);
  }
}

TEST_CASE("a weight of 100 is 1024 shares, and both ends stay in the kernel's range", "[cgroups]") {
  CHECK(cpu_weight_setting(100, Version::v1).value == "1024");
  CHECK(cpu_weight_setting(1, Version::v1).value == "10");
  CHECK(cpu_weight_setting(10'000, Version::v1).value == "102400");
  CHECK(cpu_weight_setting(0, Version::v2).value == "1");
  CHECK(cpu_weight_setting(20'000, Version::v2).value == "10000");
}
