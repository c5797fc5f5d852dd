// Limits that bite: what a container meets when it wants more.
#include "cgroups/limits.hpp"

#include <catch2/catch.hpp>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/sys.hpp"
#include "tests/kernel/cgroups/test_tree.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using namespace orlop::cgroups;

namespace {

int fill_memory(std::size_t size) {
  auto* memory =
      static_cast<volatile char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (std::size_t i = 0; i < size; i += 4096) memory[i] = 1;
  return 0;
}

}  // namespace

TEST_CASE("a container that needs more memory than it may have is killed, reported, and ended whole",
          "[cgroups][T34]") {
  TestTree tree;
  Result<Group> group = tree->create({"hog", 1}, {.memory_max = 16_MiB});
  Result<Group> other = tree->create({"other", 1}, {.memory_max = 16_MiB});
  REQUIRE(group);
  REQUIRE(other);
  Task bystander(*other, [] { return ::pause(); });
  Task sibling(*group, [] { return ::pause(); });
  CHECK_FALSE(ready(group->oom_watch(), Duration::zero()));
  Task hog(*group, [] { return fill_memory(64U << 20); });
  CHECK(hog.wait() == 128 + SIGKILL);
  CHECK(ready(group->oom_watch()));
  CHECK(*group->oom_reported());
  CHECK(group->usage()->oom_kills >= 1);
  if (tree->facts().version_of(Controller::memory) == Version::v1) {
    CHECK_FALSE(sibling.ended());  // the kernel spares it there; the supervisor does not
    REQUIRE(group->kill());
  }
  CHECK(sibling.wait() == 128 + SIGKILL);
  CHECK(await_populated(*group, false));
  CHECK_FALSE(*other->oom_reported());
  CHECK_FALSE(bystander.ended());
}

TEST_CASE("an OOM while no supervisor lived is reported to the next", "[cgroups][T34]") {
  TestTree tree;
  REQUIRE(tree->create({"hog", 1}, {.memory_max = 16_MiB}));  // its watcher is gone at once
  const Tree successor = tree.again();
  {
    Result<Group> group = successor.open({"hog", 1});
    REQUIRE(group);
    Task hog(*group, [] { return fill_memory(64U << 20); });
    CHECK(hog.wait() == 128 + SIGKILL);
  }
  Result<Group> group = successor.open({"hog", 1});
  REQUIRE(group);
  CHECK(*group->oom_reported());
  CHECK_FALSE(*group->oom_reported());
}

TEST_CASE("an OOM of a group above is not taken for the container's own", "[cgroups][T34]") {
  TestTree tree;
  const bool v2 = tree->facts().version_of(Controller::memory) == Version::v2;
  Result<Group> hog = tree->create({"hog", 1}, {.memory_max = 1_GiB});
  Result<Group> other = tree->create({"other", 1}, {.memory_max = 1_GiB});
  REQUIRE(hog);
  REQUIRE(other);
  Task bystander(*other, [] { return ::pause(); });
  const std::string limit = tree.directory_of(Controller::memory) + (v2 ? "/memory.max" : "/memory.limit_in_bytes");
  spill(limit, "33554432");
  Task task(*hog, [] { return fill_memory(128U << 20); });
  CHECK(task.wait() == 128 + SIGKILL);
  CHECK_FALSE(*other->oom_reported());
  CHECK_FALSE(bystander.ended());
  CHECK(*hog->oom_reported());
}

TEST_CASE("swap is not a way around the memory limit", "[cgroups][T34]") {
  TestTree tree;
  if (!tree->facts().swap_limit) ORLOP_SKIP("this kernel does not account swap");
  REQUIRE(tree->create({"web", 1}, {.memory_max = 16_MiB, .swap_max = 4_MiB}));
  if (tree->facts().version_of(Controller::memory) == Version::v2)
    CHECK(tree.read(Controller::memory, {"web", 1}, "memory.swap.max") == "4194304");
  else
    CHECK(tree.read(Controller::memory, {"web", 1}, "memory.memsw.limit_in_bytes") == "20971520");
}

TEST_CASE("a container gets no more CPU time than its limit", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {.cpu_max_millis = 100});
  REQUIRE(group);
  static constexpr auto wall = std::chrono::milliseconds(600);
  Task task(*group, [] {
    const BootTime end = BootClock::now() + wall;
    while (BootClock::now() < end) {
    }
    return 0;
  });
  CHECK(task.wait() == 0);
  CHECK(group->usage()->cpu_time < wall / 3);
}

TEST_CASE("a weight is changed while the container runs", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  REQUIRE(group->set_cpu_weight(250));
  if (tree->facts().version_of(Controller::cpu) == Version::v2)
    CHECK(tree.read(Controller::cpu, {"web", 1}, "cpu.weight") == "250");
  else
    CHECK(tree.read(Controller::cpu, {"web", 1}, "cpu.shares") == "2560");
}

TEST_CASE("inside a container's group there is room for a health check's, and for nothing below that",
          "[cgroups][T40]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  const Result<UniqueFd> inner = group->make_inner();
  REQUIRE(inner);
  CHECK(::mkdirat(inner->get(), "below", 0755) != 0);
  CHECK(errno == EAGAIN);
  CHECK(*group->remove());
}
