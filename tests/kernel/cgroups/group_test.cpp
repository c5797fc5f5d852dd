#include "cgroups/group.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>

#include "base/sys.hpp"
#include "tests/kernel/cgroups/test_tree.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using namespace orlop::cgroups;

namespace {

// Forks until the kernel refuses, then tells it by one byte, and goes on trying for ever, as its children do.
int fork_bomb(int tell) {
  for (;;) {
    if (::fork() < 0) (void)!::write(tell, "x", 1);
  }
}

// A counter that a process counts up and the test reads.
class SharedCounter {
 public:
  SharedCounter()
      : memory_(::mmap(nullptr, sizeof(std::atomic<long>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
        value_(new(memory_) std::atomic<long>(0)) {}
  ~SharedCounter() { (void)::munmap(memory_, sizeof(std::atomic<long>)); }
  SharedCounter(const SharedCounter&) = delete;
  std::atomic<long>& operator*() { return *value_; }

 private:
  void* memory_;
  std::atomic<long>* value_;
};

bool await_count_above(SharedCounter& counter, long count) {
  const BootTime deadline = BootClock::now() + std::chrono::seconds(20);
  while ((*counter).load() <= count && BootClock::now() < deadline) (void)::sched_yield();
  return (*counter).load() > count;
}

}  // namespace

TEST_CASE("a group is populated from its first process to its last, and each change can be awaited", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  CHECK_FALSE(ready(group->events_watch(), Duration::zero()));
  CHECK_FALSE(ready(group->oom_watch(), Duration::zero()));
  CHECK_FALSE(group->events()->populated);
  sys::Pipe gate = sys::pipe().value();
  Task task(*group, [&] {
    gate.write.reset();
    char byte = 0;
    return static_cast<int>(::read(gate.read.get(), &byte, 1));
  });
  CHECK(ready(group->events_watch()));
  CHECK(group->events()->populated);
  CHECK_FALSE(ready(group->events_watch(), Duration::zero()));
  CHECK_FALSE(*group->remove());
  gate.write.reset();
  CHECK(task.wait() == 0);
  CHECK(ready(group->events_watch()));
  CHECK_FALSE(group->events()->populated);
  CHECK(*group->remove());
  CHECK_FALSE(group->events()->populated);
}

TEST_CASE("removing a start whose process is not yet in every group takes none of them away", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  const std::vector<std::string> before = tree.groups();
  const Result<UniqueFd> leaf = group->cgroup2_fd();
  const pid_t child = ::fork();
  if (child == 0) {
    (void)!::write(sys::open_beneath(*leaf, "cgroup.procs", O_WRONLY)->get(), "0", 1);
    for (;;) ::pause();
  }
  REQUIRE(await_populated(*group, true));
  CHECK_FALSE(*group->remove());
  CHECK(tree.groups() == before);
  REQUIRE(group->kill());
  CHECK(::waitpid(child, nullptr, 0) == child);
}

TEST_CASE("a fork bomb of 200 processes stops at its limit and is killed whole", "[cgroups][T33]") {
  TestTree tree;
  Result<Group> group = tree->create({"bomb", 1}, {.cpu_max_millis = 500, .pids_max = 200});
  REQUIRE(group);
  sys::Pipe tell = sys::pipe().value();
  Task task(*group, [&] { return fork_bomb(tell.write.get()); });
  char byte = 0;
  REQUIRE(::read(tell.read.get(), &byte, 1) == 1);
  const Usage usage = group->usage().value();
  CHECK(usage.pids <= 200);
  CHECK(usage.pids > 100);
  CHECK(usage.pids_refused > 0);
  REQUIRE(group->kill());
  CHECK(await_populated(*group, false));
  CHECK(task.wait() == 128 + SIGKILL);
  CHECK(*group->remove());
}

TEST_CASE("another container starts while a fork bomb is at its limit", "[cgroups][T33]") {
  TestTree tree;
  Result<Group> bomb = tree->create({"bomb", 1}, {.cpu_max_millis = 500, .pids_max = 64});
  REQUIRE(bomb);
  sys::Pipe tell = sys::pipe().value();
  Task task(*bomb, [&] { return fork_bomb(tell.write.get()); });
  char byte = 0;
  REQUIRE(::read(tell.read.get(), &byte, 1) == 1);
  Result<Group> web = tree->create({"web", 1}, {});
  REQUIRE(web);
  Task payload(*web, [] { return 7; });
  CHECK(payload.wait() == 7);
}

TEST_CASE("a frozen group does not run, and goes on when thawed", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  SharedCounter counter;
  Task task(*group, [&] {
    for (;;) ++*counter;
    return 0;
  });
  REQUIRE(await_count_above(counter, 0));
  REQUIRE(group->freeze());
  REQUIRE(await_frozen(*group));
  const long at_freeze = (*counter).load();
  const BootTime later = BootClock::now() + std::chrono::milliseconds(50);
  while (BootClock::now() < later) (void)::sched_yield();
  CHECK((*counter).load() == at_freeze);
  REQUIRE(group->thaw());
  CHECK(await_count_above(counter, at_freeze));
}

TEST_CASE("a frozen group is killed without being thawed", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  Task task(*group, [] { return ::pause(); });
  REQUIRE(group->freeze());
  REQUIRE(await_frozen(*group));
  REQUIRE(group->kill());
  CHECK(task.wait() == 128 + SIGKILL);
  CHECK(await_populated(*group, false));
}

TEST_CASE("after a group was killed, the next start's own group takes a process", "[cgroups]") {
  TestTree tree;
  for (std::uint64_t start = 1; start <= 3; ++start) {
    Result<Group> group = tree->create({"web", start}, {});
    REQUIRE(group);
    {
      Task task(*group, [] { return 5; });
      CHECK(task.wait() == 5);
    }
    REQUIRE(group->kill());
    REQUIRE(await_populated(*group, false));
    CHECK(*group->remove());
  }
}

TEST_CASE("usage counts the CPU time, memory and processes of the group alone", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  sys::Pipe done = sys::pipe().value();
  Task task(*group, [&] {
    constexpr std::size_t size = 16U << 20;
    auto* memory =
        static_cast<volatile char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (std::size_t i = 0; i < size; i += 4096) memory[i] = 1;
    rusage usage{};
    do {
      (void)::getrusage(RUSAGE_SELF, &usage);
    } while (usage.ru_utime.tv_sec == 0 && usage.ru_utime.tv_usec < 20'000);
    (void)!::write(done.write.get(), "x", 1);
    return ::pause();
  });
  char byte = 0;
  REQUIRE(::read(done.read.get(), &byte, 1) == 1);
  const Usage usage = group->usage().value();
  CHECK(usage.memory >= 16_MiB);
  CHECK(usage.memory_peak >= usage.memory);
  CHECK(usage.memory < 64_MiB);
  CHECK(usage.cpu_time >= std::chrono::milliseconds(10));
  CHECK(usage.cpu_time < std::chrono::seconds(10));
  CHECK(usage.pids == 1);
  CHECK(usage.pids_refused == 0);
  CHECK(usage.oom_kills == 0);
}

TEST_CASE("the supervisor keeps two descriptors a container", "[cgroups]") {
  TestTree tree;
  const auto open_fds = [] {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
  };
  const auto before = open_fds();
  const Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  CHECK(open_fds() - before == 2);
}

TEST_CASE("devices beyond the default ones cannot be opened, by root either", "[cgroups]") {
  TestTree tree;
  if (!sys::open("/dev/kmsg", O_WRONLY)) ORLOP_SKIP("no /dev/kmsg here to be kept from");
  Result<Group> group = tree->create({"web", 1}, {});
  REQUIRE(group);
  Task task(*group, [] {
    for (const char* path : {"/dev/null", "/dev/zero", "/dev/urandom"})
      if (!sys::open(path, O_RDWR)) return 1;
    const Result<UniqueFd> kmsg = sys::open("/dev/kmsg", O_WRONLY);
    return !kmsg && kmsg.error().errno_value == EPERM ? 0 : 2;
  });
  CHECK(task.wait() == 0);
}
