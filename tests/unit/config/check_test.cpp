// One key against another, one section against another.
#include "config/check.hpp"

#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;
using Catch::Contains;
using Catch::StartsWith;

namespace {

std::string container(std::string_view name, std::string_view keys) {
  return "[container." + std::string(name) + "]\nimage = \"" + std::string(broker_image) + "\"\n" + std::string(keys) +
         "\n";
}

}  // namespace

TEST_CASE("minimums above maximums are refused", "[config]") {
  CHECK_THAT(web_error("resources.memory = { min = \"300MiB\" }"),
             Contains("memory.min 300MiB above memory.max 256MiB"));
  CHECK_THAT(web_error("resources.memory = { high = \"300MiB\" }"),
             Contains("memory.high 300MiB above memory.max 256MiB"));
  CHECK_THAT(web_error("resources.memory = { min = \"20MiB\", high = \"10MiB\" }"),
             Contains("memory.min 20MiB above memory.high 10MiB"));
  CHECK_THAT(web_error("resources.cpu = { min = 1.5 }"), Contains("cpu.min 1.5 above cpu.max 1"));
  CHECK_THAT(web_error("restart.backoff = { min = \"2min\" }"), Contains("backoff.min 2min above backoff.max 1min"));
}

TEST_CASE("what depends on a refused value is not refused again", "[config]") {
  CHECK(errors(web("resources.memory = { min = \"300MiB\", max = \"1TB\" }")).size() == 1);
  CHECK(errors(web("run = \"once\"\nrestart.policy = \"sometimes\"")).size() == 1);
}

TEST_CASE("a run that ends has no restart", "[config]") {
  CHECK(good_web("run = \"once\"").restart.policy == RestartPolicy::no);
  CHECK(good_web("run = \"on-boot\"").restart.policy == RestartPolicy::no);
  CHECK(good_web("run = \"on-boot\"\nrestart.policy = \"on-failure\"").restart.policy == RestartPolicy::on_failure);
  CHECK(good_web("run = \"once\"\nrestart.policy = \"no\"").restart.policy == RestartPolicy::no);
  CHECK_THAT(web_error("run = \"once\"\nrestart.policy = \"always\""), StartsWith("4:18 ") && Contains("runs once"));
}

TEST_CASE("after and requires name other containers of the file", "[config]") {
  CHECK_THAT(web_error("after = [\"web\"]"), Contains("names itself in after"));
  const auto all = errors(container("broker", "") + web("requires = [\"brokr\"]"));
  REQUIRE(all.size() == 1);
  CHECK_THAT(all.front(), StartsWith("6:12 ") && Contains("no such container (did you mean broker?)"));
}

TEST_CASE("containers that wait for each other are refused once for each circle", "[config]") {
  const auto all =
      errors(container("a", "after = [\"b\"]") + container("b", "requires = [\"c\"]") +
             container("c", "after = [\"a\", \"d\"]") + container("d", "") + container("e", "after = [\"a\"]") +
             container("x", "after = [\"y\"]") + container("y", "after = [\"x\"]"));
  for (const std::string& line : all) UNSCOPED_INFO(line);
  REQUIRE(all.size() == 2);
  CHECK_THAT(all[0], StartsWith("3:9 container.a.after") && Contains("wait for each other: a after b after c after a"));
  CHECK_THAT(all[1], Contains("x after y after x"));
}

TEST_CASE("a chain of thousands of containers is no circle", "[config]") {
  std::string file = container("c0", "");
  for (int i = 1; i < 4000; ++i)
    file += container("c" + std::to_string(i), "after = [\"c" + std::to_string(i - 1) + "\"]");
  CHECK(good(file).containers.size() == 4000);
}

TEST_CASE("a volume must be declared, and the nearest is named", "[config]") {
  const auto all = errors("[volume.readings]\n" + web("volumes = { \"/a\" = { volume = \"raedings\" }, \"/b\" = {} }"));
  REQUIRE(all.size() == 2);
  CHECK_THAT(all[0], StartsWith("4:31 container.web.volumes.\"/a\".volume") && Contains("did you mean readings?"));
  CHECK_THAT(all[1], StartsWith("4:52 ") && Contains("has no volume (add volume: name)"));
  CHECK_THAT(web_error("volumes = { \"/a\" = { volume = \"data\" } }"), Contains("declare it: [volume.data]"));
}

TEST_CASE("two mounts at one target are refused", "[config]") {
  const auto refused = [](std::string_view keys) { return errors("[volume.v]\n" + web(keys)); };
  for (const char* keys : {"volumes = { \"/a\" = { volume = \"v\" } }\ntmpfs = { \"/a\" = \"1MiB\" }",
                           "volumes = { \"/a\" = { volume = \"v\" } }\nallow.host_paths = { \"/a\" = \"/srv\" }",
                           "tmpfs = { \"/a\" = \"1MiB\" }\nallow.host_paths = { \"/a\" = \"/srv\" }"}) {
    INFO(keys);
    REQUIRE(refused(keys).size() == 1);
    CHECK_THAT(refused(keys).front(), Contains("mounts two things at /a"));
  }
}

TEST_CASE("a mount inside a tmpfs is good, one inside a volume or host path is refused", "[config]") {
  CHECK_NOTHROW(
      good("[volume.v]\n" + web("volumes = { \"/run/v\" = { volume = \"v\" } }\ntmpfs = { \"/tmp/a/b\" = \"1MiB\" }")));
  for (const char* keys : {"volumes = { \"/a\" = { volume = \"v\" }, \"/a/b/c\" = { volume = \"v\" } }",
                           "volumes = { \"/a\" = { volume = \"v\" } }\ntmpfs = { \"/a/b\" = \"1MiB\" }",
                           "allow.host_paths = { \"/a\" = \"/srv\" }\ntmpfs = { \"/a/b\" = \"1MiB\" }"}) {
    INFO(keys);
    const auto all = errors("[volume.v]\n" + web(keys));
    REQUIRE(all.size() == 1);
    CHECK_THAT(all.front(), Contains("inside what it mounts at /a"));
  }
}

TEST_CASE("more mounts than a container may have are refused", "[config]") {
  std::string keys;
  for (std::size_t i = 0; i < max_mounts - 3; ++i) keys += "tmpfs.\"/t" + std::to_string(i) + "\" = \"1MiB\"\n";
  CHECK(good_web(keys).tmpfs.size() == max_mounts);
  const auto all = errors(web(keys + "tmpfs.\"/more\" = \"1MiB\""));
  REQUIRE(all.size() == 1);
  CHECK_THAT(all.front(), Contains("has 129 mounts"));
}
