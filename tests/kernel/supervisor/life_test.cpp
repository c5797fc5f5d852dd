// A container's life as an operator sees it: ends, restarts, stops, signals and waits.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using std::chrono::milliseconds;

namespace {

// `script` run by the image's shell; `more` is further lines of the section.
std::string container(std::string_view name, std::string_view script, std::string_view more = "") {
  return fmt::format("[container.{}]\nimage = \"BUSYBOX\"\ncommand = [\"/bin/sh\", \"-c\", '''{}''']\n{}\n", name,
                     script, more);
}

std::string reason(const nlohmann::json& inspected) {
  return inspected.at("reason");
}

}  // namespace

TEST_CASE("each policy restarts what it says, and what is at rest says how it ended", "[supervisor][root]") {
  Instance orlop;
  const std::string quick = "restart.backoff = { min = \"10ms\", max = \"20ms\" }\n";
  need(orlop.apply(container("no-0", "exit 0", "restart.policy = \"no\"") +
                   container("no-3", "exit 3", "restart.policy = \"no\"") +
                   container("failure-0", "exit 0", "restart.policy = \"on-failure\"\n" + quick) +
                   container("failure-4", "exit 4", "restart.policy = \"on-failure\"\n" + quick) +
                   container("unless-0", "exit 0", "restart.policy = \"unless-stopped\"\n" + quick) +
                   container("once-0", "exit 0", "run = \"once\"") + container("once-5", "exit 5", "run = \"once\"") +
                   container("signal", "kill -SEGV $$; sleep 9", "init = true\nrestart.policy = \"no\"")));
  CHECK(reason(orlop.await("no-0", "stopped")) == "exited 0");
  CHECK(reason(orlop.await("no-3", "failed")) == "exited 3");
  CHECK(orlop.inspect("no-3").at("exit_code") == 3);
  CHECK(reason(orlop.await("failure-0", "stopped")) == "exited 0");
  CHECK(reason(orlop.await("once-0", "stopped")) == "exited 0");
  CHECK(reason(orlop.await("once-5", "failed")) == "exited 5");
  CHECK(orlop.await("signal", "failed").at("exit_code") == 128 + SIGSEGV);
  const auto restarted = [](const nlohmann::json& now) { return now.at("restarts") >= 2; };
  orlop.await("failure-4", restarted, "two restarts");
  orlop.await("unless-0", restarted, "two restarts");
}

TEST_CASE("restarts wait for a delay that doubles, and end in failed at the limit within the window",
          "[supervisor][root][T72][cis/5.15]") {
  Instance orlop;
  need(orlop.apply(
      container("loop", "cat /proc/uptime; exit 1",
                "restart = { backoff = { min = \"100ms\", max = \"400ms\" }, limit = 4, window = \"1min\" }")));
  CHECK_THAT(reason(orlop.await("loop", "failed")), StartsWith("restart limit (4") && Contains("exited 1"));
  std::vector<double> starts;
  std::istringstream log(orlop.log("loop"));
  for (double uptime = 0, idle = 0; log >> uptime >> idle;) starts.push_back(uptime);
  REQUIRE(starts.size() == 5);
  // /proc/uptime has hundredths: two readings differ by up to one of them from the truth.
  const std::vector<double> delays = {0.1, 0.2, 0.4, 0.4};
  for (std::size_t i = 0; i < delays.size(); ++i) CHECK(starts[i + 1] - starts[i] >= delays[i] - 0.011);
  CHECK(orlop.inspect("loop").at("restarts") == 4);

  need(orlop.client().start("loop").error().kind == ErrorKind::conflict || orlop.inspect("loop").at("restarts") < 4);
}

TEST_CASE("a stop asks with the stop signal, and kills the whole group when the grace is over",
          "[supervisor][root][T39]") {
  Instance orlop;
  need(orlop.apply(container("polite", "trap 'echo heard; exit 7' USR1; echo ready; while :; do sleep 0.05; done",
                             "stop = { signal = \"SIGUSR1\", grace = \"20s\" }") +
                   container("deaf", "trap '' TERM; echo ready; while :; do sleep 1; done", "stop.grace = \"300ms\"")));
  orlop.await_log("polite", "ready");
  orlop.await_log("deaf", "ready");

  need(orlop.client().stop("polite"));
  CHECK(orlop.inspect("polite").at("state") == "stopped");
  CHECK(orlop.inspect("polite").at("exit_code") == 7);
  CHECK_THAT(orlop.log("polite"), Contains("heard"));

  const BootTime begin = BootClock::now();
  need(orlop.client().stop("deaf"));
  const Duration took = BootClock::now() - begin;
  CHECK(took >= milliseconds(300));
  CHECK(took < milliseconds(3000));
  const nlohmann::json deaf = orlop.inspect("deaf");
  CHECK(deaf.at("state") == "stopped");
  CHECK(deaf.at("exit_code") == 128 + SIGKILL);
  CHECK_THAT(reason(deaf), StartsWith("killed after 300ms") && Contains("stopped by operator"));
  CHECK(contained(orlop).empty());
}

TEST_CASE("start, stop, restart and kill answer when it is so, or say why it cannot be", "[supervisor][root][T64]") {
  Instance orlop;
  need(orlop.apply(container("one", "sleep 1000", "stop.grace = \"0s\"\nrestart.backoff.min = \"50ms\"")));
  control::Client client = orlop.client();
  const nlohmann::json first = orlop.await("one", "running");

  need(client.start("one"));
  CHECK(orlop.inspect("one").at("pid") == first.at("pid"));
  need(client.restart("one"));
  const nlohmann::json second = orlop.inspect("one");
  CHECK(second.at("state") == "running");
  CHECK(second.at("start") > first.at("start"));
  need(client.stop("one"));
  need(client.stop("one"));
  const Result<void> dead = client.kill("one", "SIGHUP");
  REQUIRE_FALSE(dead);
  CHECK_THAT(text(dead.error()), Contains("it has no process to signal"));
  need(client.restart("one"));
  const nlohmann::json third = orlop.inspect("one");
  CHECK(third.at("state") == "running");
  need(client.kill("one", "KILL"));
  orlop.await(
      "one", [&](const auto& now) { return now.at("state") == "running" && now.at("start") > third.at("start"); },
      "its restart after a kill");

  CHECK_THAT(text(client.kill("one", "SIGFOO").error()), Contains("'SIGFOO' is not a signal"));
  CHECK(client.start("none").error().kind == ErrorKind::not_found);
  CHECK(client.stop("none").error().kind == ErrorKind::not_found);
  CHECK(client.kill("none", "TERM").error().kind == ErrorKind::not_found);
  for (const char* name : {"../one", "", "a/b", "A", "one\n"})
    CHECK(client.stop(name).error().kind == ErrorKind::config);
}

TEST_CASE("wait answers with the exit code and the reason, whoever ends the container", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(container("task", "read line </proc/self/mountinfo; sleep 0.3; exit 9", "run = \"once\"") +
                   container("server", "trap 'exit 0' TERM; while :; do sleep 0.05; done")));
  const control::Exit task = need(orlop.client().wait("task"));
  CHECK(task.exit_code == 9);
  CHECK(task.reason == "exited 9");
  orlop.await("server", "running");
  control::Client waiting = orlop.client();
  need(orlop.client().kill("server", "TERM"));
  CHECK(need(waiting.wait("server")).exit_code == 0);
  CHECK(orlop.client().wait("none").error().kind == ErrorKind::not_found);
}

TEST_CASE("a stopped container stays down when orlopd is killed", "[supervisor][root][T66]") {
  Instance orlop;
  need(orlop.apply(container("one", "sleep 1000", "stop.grace = \"0s\"")));
  orlop.await("one", "running");
  need(orlop.client().stop("one"));
  orlop.kill_supervisor();
  CHECK(orlop.inspect("one").at("state") == "stopped");
  CHECK_THAT(reason(orlop.inspect("one")), Contains("stopped by operator"));
}
