#include "config/admission.hpp"

#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;
using Catch::Contains;

namespace {

std::string pair(std::string_view a, std::string_view b) {
  std::string second = web(b);
  second.replace(second.find("web"), 3, "zoo");
  return web(a) + second;
}

constexpr Machine machine{.memory = 1_GiB, .cpu_millis = 2000, .cpu_count = 2};

std::vector<std::string> refusals(std::string_view file, const Machine& on) {
  std::vector<std::string> out;
  const auto admitted = admit(good(file), on);
  if (admitted) return out;
  for (const Error& error : admitted.error()) {
    REQUIRE(error.place);
    out.push_back(text(*error.place) + " " + sentence(error));
  }
  return out;
}

}  // namespace

TEST_CASE("what is guaranteed and the reserve may use the machine up to the last byte", "[config]") {
  const std::string file = "[host]\nreserve = { memory = \"512MiB\", cpu = 1 }\n" +
                           pair("resources = { memory.min = \"256MiB\", cpu.min = 0.5 }",
                                "resources = { memory.min = \"256MiB\", cpu.min = 0.5 }");
  CHECK(refusals(file, machine).empty());
  CHECK(refusals(file, {.memory = {machine.memory.count - 1}, .cpu_millis = 1999, .cpu_count = 2}).size() == 2);
}

TEST_CASE("the container with which the minimums no longer fit is named, with its line", "[config]") {
  const auto all = refusals(pair("resources.memory = { min = \"600MiB\", max = \"1GiB\" }",
                                 "resources.memory = { min = \"400MiB\", max = \"1GiB\" }"),
                            machine);
  REQUIRE(all.size() == 1);
  CHECK(
      all.front() ==
      "host.toml:6:28 container 'zoo' asks for a minimum of 400MiB; with the reserve of 128MiB and the minimums before "
      "it that makes 1128MiB, and the machine has 1GiB");
}

TEST_CASE("limits are no guarantee: they may exceed the machine", "[config]") {
  CHECK(refusals(web("resources = { memory.max = \"64GiB\", cpu.max = 64 }"), machine).empty());
}

TEST_CASE("a reserve larger than the machine is refused", "[config]") {
  const auto all = refusals("[host]\nreserve.memory = \"2GiB\"\nreserve.cpu = 3", machine);
  REQUIRE(all.size() == 2);
  CHECK_THAT(all[0], Contains("host.toml:2:18") && Contains("host.reserve.memory is 2GiB, and the machine has 1GiB"));
  CHECK_THAT(all[1], Contains("host.reserve.cpu is 3 CPUs, and the machine has 2 CPUs"));
}

TEST_CASE("a memory minimum on cgroup v1 needs best effort to be written", "[config]") {
  Machine v1 = machine;
  v1.keeps_memory_min = false;
  const std::string keys = "resources.memory.min = \"1MiB\"";
  REQUIRE(refusals(web(keys), v1).size() == 1);
  CHECK_THAT(refusals(web(keys), v1).front(), Contains("which cgroup v1 cannot keep"));
  CHECK(refusals(web(keys + "\nallow.best_effort_memory_min = true"), v1).empty());
  CHECK(refusals(web(""), v1).empty());
}

TEST_CASE("a CPU that the machine does not have, and more containers than places, are refused", "[config]") {
  CHECK(refusals(web("cpus = \"0-1\""), machine).empty());
  CHECK_THAT(refusals(web("cpus = \"0-2\""), machine).at(0), Contains("may run on CPUs 0-2, and the machine has 2"));
  Machine small = machine;
  small.containers = 1;
  CHECK_THAT(refusals(pair("", ""), small).at(0), Contains("the file has 2 containers"));
}
