#include "cgroups/tree.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "base/sys.hpp"
#include "tests/kernel/cgroups/test_tree.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using namespace orlop::cgroups;

namespace {

// What the kernel says about where process `pid` is, in the hierarchy of `controller`; empty controller: cgroup2.
std::string group_of(const std::string& pid, const std::string& controller) {
  const std::string text = "\n" + slurp("/proc/" + pid + "/cgroup") + "\n";
  const std::string key = ":" + controller + ":";
  const std::size_t found = text.find(key);
  return found == std::string::npos ? "" : text.substr(found + key.size(), text.find('\n', found) - found - key.size());
}

// Runs `body` in a forked child and returns its exit status.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// A group of the cgroup2 tree such as a service manager makes for one service, which orlop is then started in.
class ServiceGroup {
 public:
  ServiceGroup() { REQUIRE(::mkdir(path_.c_str(), 0755) == 0); }
  ~ServiceGroup() {
    Hierarchies hierarchies = discover().value();
    hierarchies.unified.own_group = name().substr(1);
    if (Result<Tree> tree = Tree::make(hierarchies, own(0)); tree) CHECK(tree->remove());
    CHECK(::rmdir(path_.c_str()) == 0);
  }
  ServiceGroup(const ServiceGroup&) = delete;
  [[nodiscard]] std::string name() const { return "/" + path_.substr(path_.rfind('/') + 1); }
  [[nodiscard]] bool has_controllers() const {
    return slurp(path_ + "/cgroup.controllers").find("memory") != std::string::npos;
  }
  /// What orlop is told when `process` is its own; 0: none.
  [[nodiscard]] Tree::Options own(pid_t process) const {
    Tree::Options options{.state_directory = "/nonexistent" + name(), .parent = {}, .own_processes = {}};
    if (process != 0) options.own_processes = {process};
    return options;
  }
  int in_child(const std::function<int()>& body) const {
    return ::in_child([&] {
      spill(path_ + "/cgroup.procs", "0");
      return body();
    });
  }

 private:
  std::string path_ = fmt::format("{}/orlop-test-service-{}", discover().value().unified.mount_point, ::getpid());
};

}  // namespace

TEST_CASE("a new subtree has the controllers that a container needs, and says what is lacking", "[cgroups]") {
  TestTree tree;
  for (const Controller controller : {Controller::cpu, Controller::memory, Controller::pids})
    CHECK(tree->facts().version_of(controller));
  CHECK(tree->facts().device_filter);
  for (const Lack& lack : tree->facts().lacking) {
    INFO(lack.what << ": " << lack.why);
    CHECK_FALSE(lack.consequence.empty());
  }
}

TEST_CASE("a start that is ended and removed leaves no group, and others' groups are as they were", "[cgroups]") {
  TestTree tree;
  // Beside orlop's subtree: somebody else's group, in every hierarchy.
  std::vector<std::string> foreign = {tree.hierarchies().unified.mount_point + tree.options().parent + "/foreign"};
  for (const V1Hierarchy& hierarchy : tree.hierarchies().v1)
    foreign.push_back(hierarchy.mount_point + tree.options().parent + "/foreign");
  for (const std::string& path : foreign) REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  const std::vector<std::string> before = tree.groups();
  {
    Result<Group> group = tree->create({"web", 1}, {});
    REQUIRE(group);
    CHECK(tree.groups().size() > before.size());
    Task task(*group, [] { return ::pause(); });
    REQUIRE(group->kill());
    REQUIRE(await_populated(*group, false));
    CHECK(*group->remove());
    CHECK(*group->remove());
  }
  CHECK(tree.groups() == before);
  for (const std::string& path : foreign) CHECK(::rmdir(path.c_str()) == 0);
}

TEST_CASE("the same start cannot have groups twice", "[cgroups]") {
  TestTree tree;
  REQUIRE(tree->create({"web", 1}, {}));
  const Result<Group> again = tree->create({"web", 1}, {});
  REQUIRE_FALSE(again);
  CHECK(again.error().kind == ErrorKind::conflict);
  CHECK(tree->create({"web", 2}, {}));
  CHECK(*tree->list() == std::vector<Leaf>{{"web", 1}, {"web", 2}});
}

TEST_CASE("a start whose limits the kernel refuses leaves no group behind", "[cgroups]") {
  TestTree tree;
  if (!tree->facts().version_of(Controller::cpuset)) ORLOP_SKIP("no cpuset controller here");
  const std::vector<std::string> before = tree.groups();
  const Result<Group> group = tree->create({"web", 1}, {.cpus = "9999"});
  REQUIRE_FALSE(group);
  CHECK(text(group.error()).find("cpuset.cpus") != std::string::npos);
  CHECK(tree.groups() == before);
  CHECK(tree->list()->empty());
}

TEST_CASE("a process is in its group of every hierarchy before its first instruction", "[cgroups]") {
  TestTree tree;
  Result<Group> group = tree->create({"web", 7}, {.cpus = tree->facts().version_of(Controller::cpuset) ? "0" : ""});
  REQUIRE(group);
  const std::string expected = fmt::format("/{}/c/web.7", tree->facts().group);
  Task task(*group, [&] {
    if (group_of("self", "") != expected) return 1;
    for (const auto& [controller, version] : tree->facts().controllers)
      if (version == Version::v1 && group_of("self", std::string(to_string(controller))) != expected) return 2;
    return 0;
  });
  CHECK(task.wait() == 0);
}

TEST_CASE("a container's CPUs are those asked for", "[cgroups]") {
  TestTree tree;
  if (!tree->facts().version_of(Controller::cpuset)) ORLOP_SKIP("no cpuset controller here");
  Result<Group> group = tree->create({"web", 1}, {.cpus = "0"});
  REQUIRE(group);
  Task task(*group, [] {
    cpu_set_t set;
    return ::sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 0 : 1;
  });
  CHECK(task.wait() == 0);
}

TEST_CASE("a successor finds the starts that its predecessor left running, and ends them", "[cgroups]") {
  TestTree tree;
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  // The predecessor starts one container and dies without a word.
  REQUIRE(in_child([&] {
            Tree mine = tree.again();
            Result<Group> group = mine.create({"web", 41}, {});
            if (!group) return 1;
            const Result<UniqueFd> leaf = group->cgroup2_fd();
            const Result<std::vector<Group::V1Leaf>> v1 = group->v1_leaves();
            if (!leaf || !v1) return 3;
            const pid_t payload = ::fork();
            if (payload == 0) {
              (void)!::write(sys::open_beneath(*leaf, "cgroup.procs", O_WRONLY)->get(), "0", 1);
              for (const Group::V1Leaf& v1_leaf : *v1) (void)!::write(v1_leaf.procs.get(), "0", 1);
              for (;;) ::pause();
            }
            if (!await_populated(*group, true)) return 2;
            ::_exit(0);  // no destructor runs, as by SIGKILL
          }) == 0);
  const Tree successor = tree.again();
  REQUIRE(*successor.list() == std::vector<Leaf>{{"web", 41}});
  Result<Group> group = successor.open({"web", 41});
  REQUIRE(group);
  CHECK(group->events()->populated);
  CHECK_FALSE(*group->oom_reported());
  REQUIRE(group->kill());
  REQUIRE(await_populated(*group, false));
  CHECK(*group->remove());
  CHECK(successor.list()->empty());
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

TEST_CASE("a start that is gone cannot be opened, and is told as not found", "[cgroups]") {
  TestTree tree;
  CHECK(tree->open({"web", 1}).error().kind == ErrorKind::not_found);
}

TEST_CASE("a parent that does not exist is refused and not made", "[cgroups]") {
  TestTree tree;
  Tree::Options options = tree.options();
  options.parent += "/missing";
  const Result<Tree> other = Tree::make(tree.hierarchies(), options);
  REQUIRE_FALSE(other);
  CHECK(other.error().kind == ErrorKind::config);
  options.parent = "/../..";
  CHECK_FALSE(Tree::make(tree.hierarchies(), options));
}

TEST_CASE("a subtree is not removed while a start is in it", "[cgroups]") {
  TestTree tree;
  REQUIRE(tree->create({"web", 1}, {}));
  CHECK(tree.again().remove().error().kind == ErrorKind::conflict);
}

TEST_CASE("without a named parent orlop's own processes move into self, and a successor there finds the same subtree",
          "[cgroups]") {
  const Hierarchies before = discover().value();
  Tree::Options options{
      .state_directory = fmt::format("/nonexistent/own-{}", ::getpid()), .parent = {}, .own_processes = {}};
  const int status = in_child([&] {
    options.own_processes = {::getpid()};
    Result<Tree> first = Tree::make(discover().value(), options);
    if (!first) return 1;
    if (!group_of("self", "").ends_with(first->facts().group + "/self")) return 2;
    Result<Tree> second = Tree::make(discover().value(), options);
    if (!second) return 3;
    return first->facts() == second->facts() ? 0 : 4;
  });
  options.own_processes = {};
  Tree tree = Tree::make(before, options).value();
  CHECK(tree.remove());
  CHECK(status == 0);
  CHECK(::access(fmt::format("{}/{}", before.unified.mount_point, tree.facts().group).c_str(), F_OK) != 0);
}

TEST_CASE("a service's own group hands its controllers down once orlop's processes have left it for self",
          "[cgroups]") {
  ServiceGroup service;
  if (!service.has_controllers()) ORLOP_SKIP("no controllers on cgroup v2 here");
  CHECK(service.in_child([&] {
    const Tree tree = Tree::make(discover().value(), service.own(::getpid())).value();
    const Result<Group> group = tree.create({"web", 1}, {});
    return group && *group->remove() ? 0 : 1;
  }) == 0);
}

TEST_CASE("in a group that others' processes share no container is started, the reason is told, and they stay there",
          "[cgroups]") {
  ServiceGroup service;
  if (!service.has_controllers()) ORLOP_SKIP("no controllers on cgroup v2 here");
  CHECK(service.in_child([&] {
    sys::Pipe gate = sys::pipe().value();
    const pid_t other = ::fork();
    if (other == 0) {
      gate.write.reset();
      char byte = 0;
      ::_exit(static_cast<int>(::read(gate.read.get(), &byte, 1)));
    }
    const Tree tree = Tree::make(discover().value(), service.own(::getpid())).value();
    const bool stayed = group_of(fmt::to_string(other), "") == service.name();
    const bool told = std::ranges::any_of(tree.facts().lacking, [](const Lack& lack) {
      return lack.what == "controller memory" && lack.why.find("not orlop's") != std::string::npos;
    });
    const Result<Group> group = tree.create({"web", 1}, {});
    const bool refused = !group && group.error().kind == ErrorKind::unsupported && tree.list()->empty();
    gate.write.reset();
    (void)::waitpid(other, nullptr, 0);
    return stayed && told && refused ? 0 : 1;
  }) == 0);
}

TEST_CASE("guaranteed memory is kept on every level of orlop's own", "[cgroups]") {
  TestTree tree;
  if (tree->facts().version_of(Controller::memory) != Version::v2) ORLOP_SKIP("no memory controller on cgroup v2 here");
  REQUIRE(tree->create({"db", 1}, {.memory_min = 8_MiB}));
  REQUIRE(tree->set_memory_min(8_MiB));
  CHECK(tree.read(Controller::memory, {"db", 1}, "memory.min") == "8388608");
  CHECK(slurp(tree.unified_directory() + "/memory.min") == "8388608");
  CHECK(slurp(tree.unified_directory() + "/../memory.min") == "8388608");
  // The test's parent keeps none, and that is said.
  CHECK(std::ranges::any_of(tree->facts().lacking, [&](const Lack& lack) {
    return lack.what.find("memory.min of '" + tree.options().parent.substr(1)) == 0;
  }));
}

TEST_CASE("where cgroup2 is mounted nowhere it is used by a mount that nobody else sees", "[cgroups]") {
  // A new mount without options takes nsdelegate and memory_recursiveprot away from the whole host.
  const std::string mounts = slurp("/proc/self/mountinfo");
  const std::size_t unified = mounts.find(" - cgroup2 ");
  const std::string options = mounts.substr(unified, mounts.find('\n', unified) - unified);
  if (options.find("nsdelegate") != std::string::npos || options.find("memory_") != std::string::npos)
    ORLOP_SKIP("a second cgroup2 mount would change the options of this host's");
  TestTree tree;
  Hierarchies hierarchies = tree.hierarchies();
  hierarchies.kind = Kind::v1;
  hierarchies.unified.mount_point.clear();
  const Tree detached = Tree::make(hierarchies, tree.options()).value();
  Result<Group> group = detached.create({"web", 1}, {});
  REQUIRE(group);
  Task task(*group, [] { return ::pause(); });
  REQUIRE(group->kill());
  CHECK(task.wait() == 128 + SIGKILL);
  REQUIRE(await_populated(*group, false));
  CHECK(*group->remove());
  CHECK(slurp("/proc/self/mountinfo") == mounts);
}
