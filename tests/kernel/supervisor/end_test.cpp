// What is over leaves nothing behind: no process, group, mount or descriptor.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using std::chrono::seconds;

namespace {

struct Left {
  std::set<std::string> leaves;
  std::set<pid_t> children;
  std::size_t guardian_fds;
  std::size_t orlopd_fds;
  std::size_t mounts;

  explicit Left(const Instance& orlop)
      : leaves(orlop::leaves(orlop)),
        children(descendants(orlop.guardian())),
        guardian_fds(open_fds(orlop.guardian())),
        orlopd_fds(open_fds(orlop.supervisor())),
        mounts(mounts_of(orlop.supervisor())) {}
};

// The numbers of now are those of `before`; a pooled namespace or a client may still be on its way.
void await_same(const Instance& orlop, const Left& before) {
  await_that([&] { return Left(orlop).orlopd_fds <= before.orlopd_fds; }, "orlopd has closed its descriptors");
  const Left after(orlop);
  CHECK(after.leaves == before.leaves);
  CHECK(after.children == before.children);
  CHECK(after.guardian_fds == before.guardian_fds);
  CHECK(after.mounts == before.mounts);
}

}  // namespace

TEST_CASE("a fork bomb in sessions of its own is gone within 2 s of its stop, and leaves nothing",
          "[supervisor][root][T33][T39][cis/5.29]") {
  Instance orlop;
  // A shell that cannot fork ends, so the bomb leaves its children behind at the limit, each in a session of its own.
  // One start before, so that what is made once (image mount, filter, namespaces ahead) is there.
  const std::string bomb = R"(
[container.bomb]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "trap '' TERM; echo on; (while :; do setsid sleep 1000 & done); exec sleep 1000"]
resources.pids = 100
resources.cpu.max = 0.5
stop.grace = "100ms"
)";
  need(orlop.apply(bomb));
  orlop.await_log("bomb", "on");
  need(orlop.client().stop("bomb"));
  const Left before(orlop);
  need(orlop.client().start("bomb"));
  await_that([&] { return contained(orlop).size() >= 90; }, "the bomb has gone off");
  const BootTime begin = BootClock::now();
  need(orlop.client().stop("bomb"));
  CHECK(BootClock::now() - begin < seconds(2));
  CHECK(contained(orlop).empty());
  await_same(orlop, before);
}

TEST_CASE("each container costs orlopd at most ten descriptors and the guardian six, and returns them",
          "[supervisor][root]") {
  Instance orlop;
  std::string host;
  constexpr std::size_t count = 8;
  for (std::size_t i = 0; i < count; ++i)
    host += fmt::format(
        "[container.c{}]\nimage = \"BUSYBOX\"\ncommand = [\"/bin/sleep\", \"1000\"]\nstop.grace = \"0s\"\n", i);
  need(orlop.apply(host));
  for (std::size_t i = 0; i < count; ++i) orlop.await(fmt::format("c{}", i), "running");
  const Left running(orlop);
  need(orlop.apply(""));
  await_that([&] { return orlop.status().at("containers").empty(); }, "all are removed");
  const Left empty(orlop);
  CHECK(running.orlopd_fds - empty.orlopd_fds <= 10 * count);
  CHECK(running.guardian_fds - empty.guardian_fds <= 6 * count);
  CHECK(empty.leaves.empty());
  CHECK(empty.children == std::set<pid_t>{orlop.supervisor()});

  for (int round = 0; round < 3; ++round) {
    need(orlop.apply(host));
    for (std::size_t i = 0; i < count; ++i) orlop.await(fmt::format("c{}", i), "running");
    need(orlop.apply(""));
    await_that([&] { return orlop.status().at("containers").empty(); }, "all are removed");
  }
  await_same(orlop, empty);
}
