// Deaths of orlopd and of the guardian, and instances beside each other.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using std::chrono::seconds;

namespace {

constexpr const char* sleeper = R"(
[container.one]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)";

// kill -9 of orlopd, held dead by SIGSTOP of its guardian until `meanwhile` is done.
template <class Meanwhile>
void while_dead(const Instance& orlop, Meanwhile meanwhile) {
  const pid_t dead = orlop.supervisor();
  need(::kill(orlop.guardian(), SIGSTOP) == 0);
  await_that([&] { return proc_status(orlop.guardian(), "State").starts_with("T"); }, "the guardian stands still");
  need(::kill(dead, SIGKILL) == 0);
  meanwhile();
  need(::kill(orlop.guardian(), SIGCONT) == 0);
  await_that([&] { return orlop.supervisor() > 0 && orlop.supervisor() != dead; }, "a new orlopd is there");
  (void)orlop.client();
}

}  // namespace

TEST_CASE("an exit while orlopd is dead is told once, with its code and its last log lines",
          "[supervisor][root][T66]") {
  Instance orlop;
  const TemporaryDirectory signal;
  need(shell("chmod 755 " + signal.path()).exit_code == 0);
  need(orlop.apply(fmt::format(R"(
[container.task]
image   = "BUSYBOX"
run     = "once"
command = ["/bin/sh", "-c", "echo begun; while [ ! -e /run/signal/go ]; do sleep 0.05; done; echo last words; exit 23"]
allow.host_paths = {{ "/run/signal" = "{}" }}
)",
                               signal.path())));
  orlop.await_log("task", "begun");
  const pid_t pid = orlop.inspect("task").at("pid");
  while_dead(orlop, [&] {
    need(shell(fmt::format("touch {}/go", signal.path())).exit_code == 0);
    await_that([&] { return !is_alive(pid); }, "the task has ended");
  });
  const nlohmann::json ended = orlop.await("task", "failed");
  CHECK(ended.at("exit_code") == 23);
  CHECK(ended.at("reason") == "exited 23");
  CHECK(orlop.log("task") == "begun\nlast words\n");
  orlop.kill_supervisor();
  CHECK(orlop.inspect("task").at("exit_code") == 23);
  int told = 0;
  for (const audit::Entry& entry : orlop.audit())
    if (entry.record.what == "container.exit") ++told;
  CHECK(told == 1);
  CHECK(leaves(orlop).empty());
}

TEST_CASE("kill -9 of the guardian ends every container within 2 s", "[supervisor][root][T67]") {
  const TemporaryDirectory root;
  Instance orlop({.root = root.path()});
  need(orlop.apply(R"(
[container.deaf]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "trap '' TERM; setsid sleep 4243 & while :; do sleep 1; done"]
stop.grace = "0s"
[container.other]
image   = "BUSYBOX"
command = ["/bin/sleep", "4243"]
stop.grace = "0s"
)"));
  orlop.await("deaf", "running");
  orlop.await("other", "running");
  await_that([&] { return contained(orlop).size() >= 4; }, "all processes are there");
  std::set<pid_t> all = contained(orlop);
  all.insert(orlop.supervisor());
  need(::kill(orlop.guardian(), SIGKILL) == 0);
  need(::waitpid(orlop.guardian(), nullptr, 0) == orlop.guardian());
  await_that([&] { return std::ranges::none_of(all, is_alive); }, "nobody is left", seconds(2));
  const Instance successor({.root = root.path()});  // and with it the groups that were left go
}

TEST_CASE("what a killed guardian left is cleared by the next instance, which starts everything afresh",
          "[supervisor][root][T67]") {
  const TemporaryDirectory root;
  {
    Instance orlop({.root = root.path()});
    need(orlop.apply(sleeper));
    orlop.await("one", "running");
    need(::kill(orlop.guardian(), SIGKILL) == 0);
    need(::waitpid(orlop.guardian(), nullptr, 0) == orlop.guardian());
    await_that([&] { return contained(orlop).empty(); }, "nobody is left");
  }
  Instance orlop({.root = root.path()});
  orlop.await("one", "running");
  CHECK(contained(orlop).size() == 1);
  std::set<std::string> names;
  for (const std::string& leaf : leaves(orlop)) names.insert(leaf.substr(leaf.rfind('/') + 1));
  CHECK(names.size() == 1);
}

TEST_CASE("after five deaths in a minute orlopd starts hands-off: it adopts and answers, and an apply ends it",
          "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(sleeper));
  const nlohmann::json before = orlop.await("one", "running");
  for (int i = 0; i < 5; ++i) orlop.kill_supervisor();
  CHECK(orlop.status().at("state") == "hands-off");
  CHECK(orlop.inspect("one").at("pid") == before.at("pid"));
  need(::kill(before.at("pid").get<pid_t>(), SIGKILL) == 0);
  orlop.await("one", [](const nlohmann::json& now) { return now.at("state") != "running"; }, "its end");
  CHECK(contained(orlop).empty());
  CHECK(orlop.inspect("one").at("state") != "running");
  need(orlop.apply(sleeper));
  CHECK(orlop.status().at("state") == "running");
  orlop.await("one", "running");
}

TEST_CASE("two instances side by side share no id and do not disturb each other", "[supervisor][root][T68][T71]") {
  Instance left;
  std::uint32_t left_ids = 0;
  pid_t pid = 0;
  {
    Instance right;
    need(left.apply(sleeper));
    need(right.apply(sleeper));
    left_ids = left.await("one", "running").at("ids").at("first");
    pid = left.inspect("one").at("pid");
    const std::uint32_t right_ids = right.await("one", "running").at("ids").at("first");
    CHECK(std::max(left_ids, right_ids) - std::min(left_ids, right_ids) >= 65536);
    need(right.client().stop("one"));
    CHECK(left.inspect("one").at("state") == "running");
    right.kill_supervisor();
  }
  CHECK(left.inspect("one").at("pid") == pid);
  CHECK(contained(left) == std::set<pid_t>{pid});
}

TEST_CASE("a second supervisor on one directory is refused with a sentence, and the first goes on",
          "[supervisor][root][T68]") {
  Instance orlop;
  need(orlop.apply(sleeper));
  const pid_t pid = orlop.await("one", "running").at("pid");
  const Said second = shell(fmt::format("timeout 20 {}/orlop-init --root {}", ORLOP_PROGRAMS, orlop.root()));
  CHECK(second.exit_code != 0);
  CHECK(second.exit_code != 124);
  CHECK_THAT(second.output, Contains("another orlopd runs on") && Contains("--root DIR"));
  CHECK(orlop.inspect("one").at("pid") == pid);
  CHECK(is_alive(pid));
}

TEST_CASE("a wrong option of orlop-init ends it with a sentence and status 2", "[supervisor][root]") {
  const Said said = shell(fmt::format("timeout 20 {}/orlop-init --rot /tmp/x", ORLOP_PROGRAMS));
  CHECK(said.exit_code == 2);
  CHECK_THAT(said.output, Contains("'--rot' is not an option"));
}
