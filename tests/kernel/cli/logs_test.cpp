// logs against a whole orlop: what is followed, and until when.
#include <fmt/format.h>
#include <catch2/catch.hpp>

#include "cli/output/json.hpp"
#include "tests/kernel/supervisor/instance.hpp"
#include "tests/orlop_program.hpp"

namespace orlop::cli {
namespace {

Ended logs(const Instance& instance, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--root", instance.root(), "logs"});
  return orlop(std::move(arguments));
}

TEST_CASE("logs gives what a container wrote: all, the last lines, with times, as JSON, escaped [T37]",
          "[cli][root][T37]") {
  Instance instance;
  need(instance.apply(R"(
[container.job]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "echo one; echo two; printf '\\033[2Jthree'"]
restart = { policy = "no" }
[container.grumble]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "echo to standard error >&2"]
restart = { policy = "no" }
)"));
  for (const char* name : {"job", "grumble"})
    instance.await(name, [](const auto& seen) { return seen.at("exit_code") == 0; }, "its end");
  CHECK(logs(instance, {"grumble"}).out == "to standard error\n");
  CHECK(logs(instance, {"job"}).out == "one\ntwo\n\\x1b[2Jthree\n");
  CHECK(logs(instance, {"job", "-n", "1"}).out == "\\x1b[2Jthree\n");
  CHECK_THAT(logs(instance, {"job", "-t", "-n", "1"}).out, Catch::Matchers::Matches("20[0-9-]+T[0-9:.]+Z \\\\x1b.*\n"));
  CHECK(logs(instance, {"job", "--since", "1h", "-n", "1"}).out == "\\x1b[2Jthree\n");
  const std::string line = logs(instance, {"job", "--json", "-n", "1"}).out;
  CHECK(need(parse_json(line)).at("log") == "\033[2Jthree");
  CHECK(logs(instance, {"job", "--previous"}).code == 1);
  CHECK(logs(instance, {"job", "--since", "yesterday"}).code == 2);
  CHECK(logs(instance, {"nix"}).code == 1);
}

TEST_CASE(
    "following gives every line once and in order over rotations and deaths of orlopd, and ends with the container",
    "[cli][root]") {
  Instance instance;
  need(instance.apply(R"(
[container.job]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i of a log that is to be rotated often; i=$((i+1)); [ $((i % 100)) != 0 ] || sleep 0.1; done"]
restart = { policy = "no" }
log     = { size = "64KiB", files = 4 }
)"));
  instance.await("job", "running");
  OrlopProgram follower({"--root", instance.root(), "logs", "-f", "job"});
  follower.await_line();
  instance.kill_supervisor();
  instance.kill_supervisor();
  const Ended followed = follower.end();
  CAPTURE(followed.err);
  REQUIRE(followed.code == 0);
  std::string wanted;
  for (int i = 0; i < 3000; ++i) wanted += fmt::format("line {} of a log that is to be rotated often\n", i);
  CHECK(followed.out == wanted);
}

TEST_CASE("following a container that is at rest prints its log and ends", "[cli][root]") {
  Instance instance;
  need(instance.apply(R"(
[container.job]
image   = "BUSYBOX"
command = ["/bin/echo", "done"]
restart = { policy = "no" }
)"));
  instance.await("job", [](const auto& seen) { return seen.at("exit_code") == 0; }, "its end");
  const Ended followed = logs(instance, {"-f", "job"});
  CHECK(followed.code == 0);
  CHECK(followed.out == "done\n");
}

}  // namespace
}  // namespace orlop::cli
