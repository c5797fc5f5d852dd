#include "tests/kernel/cgroups/test_tree.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::cgroups {
namespace {

bool poll_until(const Watch& watch, BootTime deadline) {
  const Duration left = std::max(deadline - BootClock::now(), Duration::zero());
  pollfd poll{.fd = watch.fd.get(), .events = static_cast<short>(watch.epoll_events), .revents = 0};
  return ::poll(&poll, 1, static_cast<int>(left / std::chrono::milliseconds(1))) == 1;
}

template <class Condition>
bool await(const Group& group, Duration within, Condition condition) {
  const BootTime deadline = BootClock::now() + within;
  for (;;) {
    const Result<Group::Events> events = group.events();
    REQUIRE(events);
    if (condition(*events)) return true;
    if (!poll_until(group.events_watch(), deadline)) return false;
  }
}

std::vector<std::string> mount_points(const Hierarchies& hierarchies) {
  std::vector<std::string> points = {hierarchies.unified.mount_point};
  for (const V1Hierarchy& hierarchy : hierarchies.v1) points.push_back(hierarchy.mount_point);
  return points;
}

}  // namespace

bool ready(const Watch& watch, Duration within) {
  return poll_until(watch, BootClock::now() + within);
}

bool await_populated(const Group& group, bool populated, Duration within) {
  return await(group, within, [=](const Group::Events& events) { return events.populated == populated; });
}

bool await_frozen(const Group& group, Duration within) {
  return await(group, within, [](const Group::Events& events) { return events.frozen; });
}

std::string slurp(const std::string& path) {
  Result<UniqueFd> file = sys::open(path, O_RDONLY);
  if (!file) return {};
  std::string text = read_all(*file, 1 << 20).value_or("");
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

void spill(const std::string& path, const std::string& value) {
  const Result<UniqueFd> file = sys::open(path, O_WRONLY);
  REQUIRE(file);
  REQUIRE(write_all(*file, value));
}

Task::Task(const Group& group, const std::function<int()>& body) {
  const Result<UniqueFd> leaf = group.cgroup2_fd();
  const Result<std::vector<Group::V1Leaf>> v1 = group.v1_leaves();
  REQUIRE(leaf);
  REQUIRE(v1);
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<std::uint64_t>(leaf->get());
  pid_ = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    for (const Group::V1Leaf& v1_leaf : *v1)
      if (::write(v1_leaf.procs.get(), "0", 1) != 1) ::_exit(126);
    ::_exit(body());
  }
  pidfd_.reset(pidfd);
}

Task::~Task() {
  if (reaped_) return;
  (void)sys::pidfd_send_signal(pidfd_, SIGKILL);
  (void)wait();
}

int Task::wait() {
  siginfo_t info{};
  REQUIRE(::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) == 0);
  reaped_ = true;
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

bool Task::ended() const {
  pollfd poll{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 0) == 1;
}

TestTree::TestTree() {
  static int count = 0;
  const std::string name = fmt::format("orlop-test-{}-{}", ::getpid(), ++count);
  hierarchies_ = discover().value();
  options_ = {.state_directory = "/nonexistent/" + name, .parent = "/" + name, .own_processes = {}};
  for (const std::string& point : mount_points(hierarchies_)) REQUIRE(::mkdir((point + "/" + name).c_str(), 0755) == 0);
  for (const V1Hierarchy& hierarchy : hierarchies_.v1)  // a new v1 cpuset has no CPUs to hand on
    if (std::ranges::find(hierarchy.controllers, Controller::cpuset) != hierarchy.controllers.end())
      for (const char* file : {"/cpuset.cpus", "/cpuset.mems"})
        spill(hierarchy.mount_point + "/" + name + file, slurp(hierarchy.mount_point + file));
  Result<Tree> tree = Tree::make(hierarchies_, options_);
  if (!tree) FAIL(text(tree.error()));
  tree_ = std::move(*tree);
}

TestTree::~TestTree() {
  for (const Leaf& leaf : tree_->list().value_or(std::vector<Leaf>{})) {
    Result<Group> group = tree_->open(leaf);
    if (!group) continue;
    (void)group->kill();
    (void)await_populated(*group, false);
    (void)group->remove();
  }
  (void)tree_->remove();
  for (const std::string& point : mount_points(hierarchies_)) CHECK(::rmdir((point + options_.parent).c_str()) == 0);
}

Tree TestTree::again() const {
  return Tree::make(hierarchies_, options_).value();
}

std::string TestTree::unified_directory() const {
  return fmt::format("{}/{}/c", hierarchies_.unified.mount_point, tree_->facts().group);
}

std::string TestTree::directory_of(Controller controller) const {
  for (const V1Hierarchy& hierarchy : hierarchies_.v1)
    if (std::ranges::find(hierarchy.controllers, controller) != hierarchy.controllers.end())
      return fmt::format("{}/{}/c", hierarchy.mount_point, tree_->facts().group);
  return unified_directory();
}

std::string TestTree::read(Controller controller, const Leaf& leaf, const std::string& file) const {
  return slurp(fmt::format("{}/{}/{}", directory_of(controller), to_string(leaf), file));
}

std::vector<std::string> TestTree::groups() const {
  std::vector<std::string> found;
  for (const std::string& point : mount_points(hierarchies_))
    for (const auto& entry : std::filesystem::recursive_directory_iterator(point + options_.parent))
      if (entry.is_directory()) found.push_back(point + ": " + entry.path().string());
  std::ranges::sort(found);
  return found;
}

}  // namespace orlop::cgroups
