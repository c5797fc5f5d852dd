// Who starts before whom, and stops after whom.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

namespace {

// The audit log's steps of containers in their order, such as "db launched".
std::vector<std::string> steps(const Instance& orlop, std::string_view step) {
  std::vector<std::string> names;
  for (const audit::Entry& entry : orlop.audit())
    if (entry.record.what == fmt::format("container.{}", step)) {
      const std::string& object = entry.record.object;  // container/NAME start N
      names.push_back(object.substr(sizeof("container/") - 1, object.find(' ') - (sizeof("container/") - 1)));
    }
  return names;
}

constexpr const char* chain = R"(
[container.web]
image    = "BUSYBOX"
command  = ["/bin/sleep", "1000"]
requires = ["app"]
stop.grace = "0s"
[container.app]
image    = "BUSYBOX"
command  = ["/bin/sleep", "1000"]
requires = ["db"]
stop.grace = "0s"
[container.db]
image    = "BUSYBOX"
command  = ["/bin/sh", "-c", "trap 'exit 0' TERM; touch /tmp/wait; while [ -e /tmp/wait ]; do sleep 0.05; done; touch /tmp/ready; while :; do sleep 0.05; done"]
health   = { exec = ["/bin/test", "-e", "/tmp/ready"], interval = "100ms", start_period = "1min" }
)";

}  // namespace

TEST_CASE("what requires a container starts when it is healthy, and stops before it", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(chain));
  const pid_t db = orlop.await("db", "running").at("pid");
  orlop.await("db", [](const nlohmann::json& now) { return now.at("health") == "starting"; }, "starting");
  CHECK(orlop.inspect("app").at("state") == "pending");
  CHECK(orlop.inspect("app").at("waits_for") != "");
  await_that([&] { return shell(fmt::format("rm /proc/{}/root/tmp/wait", db)).exit_code == 0; },
             "it may become healthy");
  orlop.await("web", "running");
  await_that([&] { return steps(orlop, "launched") == std::vector<std::string>{"db", "app", "web"}; },
             "all three starts stand in the audit log, in their order");

  need(orlop.client().stop("db"));
  await_that([&] { return steps(orlop, "exit") == std::vector<std::string>{"web", "app", "db"}; },
             "all three exits stand in the audit log, in the other order");
  CHECK_THAT(orlop.inspect("app").at("reason").get<std::string>(), Contains("requirement"));
}

TEST_CASE("a shutdown stops in reverse order, and ends orlop-init with nothing left", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.last]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
after   = ["middle"]
stop.grace = "0s"
[container.middle]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
after   = ["first"]
stop.grace = "0s"
[container.first]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)"));
  for (const char* name : {"first", "middle", "last"}) orlop.await(name, "running");
  await_that([&] { return steps(orlop, "launched") == std::vector<std::string>{"first", "middle", "last"}; },
             "all three starts stand in the audit log, in their order");
  const auto read = [&] {
    const UniqueFd directory = need(sys::open(orlop.root() + "/state/audit", O_RDONLY | O_DIRECTORY));
    const UniqueFd state = need(sys::open(orlop.root() + "/state", O_RDONLY | O_DIRECTORY));
    const audit::Source source = need(audit::open_source(directory, state));
    CHECK_FALSE(need(audit::verify(source)).fault);
    std::vector<std::string> exits;
    need(audit::show(source, {}, [&](const std::optional<audit::Entry>& entry, std::string_view) {
      if (entry && entry->record.what == "container.exit")
        exits.push_back(entry->record.object.substr(0, entry->record.object.find(' ')));
    }));
    return exits;
  };
  orlop.shut_down();
  CHECK(read() == std::vector<std::string>{"container/last", "container/middle", "container/first"});
  CHECK(leaves(orlop).empty());
}
