// State that is torn, foreign or newer: named, left where it is, and nothing is touched.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

namespace {

constexpr const char* sleeper = R"(
[container.one]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)";

// Puts `bytes` in place of the instance's file that matches `file`, lets a new orlopd find it, and looks at what
// becomes of a container that runs.
void check_damage(const std::string& file, const std::string& bytes, const std::string& named) {
  CAPTURE(file, bytes);
  Instance orlop;
  need(orlop.apply(sleeper));
  const pid_t pid = orlop.await("one", "running").at("pid");
  std::string path;
  std::istringstream(shell(fmt::format("find {} -path '{}'", orlop.root(), file)).output) >> path;
  const std::string whole = read_text(path);
  REQUIRE_FALSE(whole.empty());
  std::ofstream(path, std::ios::trunc) << bytes;
  orlop.kill_supervisor();

  CHECK(orlop.status().at("state") == "damaged");
  CHECK_THAT(orlop.status().at("damage").get<std::string>(), Contains(named));
  CHECK(is_alive(pid));
  CHECK_THAT(orlop.refusal(sleeper), Contains("changes nothing") && Contains(named));
  CHECK_FALSE(orlop.client().stop("one"));
  CHECK(read_text(path) == bytes);
  CHECK(is_alive(pid));

  std::ofstream(path, std::ios::trunc) << whole;  // the operator puts it right, and it goes on
  orlop.kill_supervisor();
  CHECK(orlop.inspect("one").at("pid") == pid);
  need(orlop.client().stop("one"));
}

}  // namespace

TEST_CASE("a record that is cut short stops every change, and no container", "[supervisor][root][T68]") {
  check_damage("*/run/records/*one.json", "{\"name\":\"one\",", "one.json");
}

TEST_CASE("a record of a newer version stops every change, and no container", "[supervisor][root][T68]") {
  check_damage("*/run/records/*one.json", "{\"version\":99}", "one.json");
}

TEST_CASE("an applied host file that cannot be read stops every change, and no container", "[supervisor][root][T68]") {
  check_damage("*/state/host.toml", "[container.one\n", "host.toml");
}

TEST_CASE("a damaged reserve of start numbers stops every change, and no container", "[supervisor][root][T68]") {
  check_damage("*/state/starts", "many\n", "starts");
}

TEST_CASE("a damaged list of id ranges stops every change, and no container", "[supervisor][root][T68]") {
  check_damage("*/state/id-ranges", "{", "id-ranges");
}
