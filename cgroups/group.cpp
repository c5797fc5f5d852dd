#include "cgroups/group.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "cgroups/device_filter.hpp"
#include "cgroups/interface_file.hpp"
#include "cgroups/settings.hpp"
#include "cgroups/tree_handles.hpp"

namespace orlop::cgroups {
namespace {

constexpr std::string_view inner_prefix = "check.";

// A v1 hierarchy of cpuset alone takes part only where a container asks for CPUs.
bool is_optional(const V1Handles& hierarchy) {
  return hierarchy.controllers == std::vector{Controller::cpuset};
}

// Open to all whatever orlopd's umask: the container that may see its group is a stranger to it.
int make_group(BorrowedFd directory, const std::string& name) {
  constexpr mode_t mode = 0755;
  if (::mkdirat(directory.get(), name.c_str(), mode) != 0) return -1;
  return ::fchmodat(directory.get(), name.c_str(), mode, 0);
}

// true: gone, or never there. false: a process or a group is still inside.
Result<bool> remove_group(BorrowedFd directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno == EBUSY) return false;
  return fail_errno(errno, "rmdir", fmt::format("cannot remove the cgroup '{}'", name));
}

}  // namespace

std::string to_string(const Leaf& leaf) {
  return fmt::format("{}.{}", leaf.name, leaf.start);
}

Result<void> Group::make(const Limits& limits) {
  const std::string name = to_string(leaf_);
  Result<std::vector<Setting>> all = settings(limits, tree_->facts);
  if (!all) return pass(std::move(all));
  // First the cgroup2 leaf: whoever lists that tree after a crash knows of every start that has any group.
  if (make_group(tree_->containers, name) != 0) {
    if (errno == EEXIST) return fail(ErrorKind::conflict, fmt::format("the cgroup '{}' exists already", name));
    return fail_errno(errno, "mkdir", fmt::format("cannot make the cgroup '{}'", name));
  }
  const auto fill = [&]() -> Result<void> {
    for (const V1Handles& hierarchy : tree_->v1) {
      if (is_optional(hierarchy) && limits.cpus.empty()) continue;
      if (make_group(hierarchy.containers, name) != 0)
        return fail_errno(errno, "mkdir",
                          fmt::format("cannot make the cgroup '{}' of the v1 controller {}", name,
                                      to_string(hierarchy.controllers.front())));
    }
    for (const Setting& setting : *all)
      if (Result<void> written =
              write_interface_file(tree_->containers_of(setting.controller), name + "/" + setting.file, setting.value);
          !written)
        return pass(std::move(written));
    if (tree_->device_filter) {
      Result<UniqueFd> group = cgroup2_fd();
      if (!group) return pass(std::move(group));
      if (Result<void> attached = attach_device_filter(tree_->device_filter, *group); !attached)
        return pass(std::move(attached));
    }
    return watch();
  };
  Result<void> filled = fill();
  if (!filled) (void)remove();  // nobody is inside yet; the first error is the one to tell
  return filled;
}

Result<void> Group::watch() {
  const std::string name = to_string(leaf_);
  Result<UniqueFd> events = sys::open_beneath(tree_->containers, name + "/cgroup.events", O_RDONLY);
  if (!events) {
    if (events.error().errno_value == ENOENT)
      return fail(ErrorKind::not_found, fmt::format("the cgroup '{}' is gone", name));
    return pass(std::move(events));
  }
  events_ = std::move(*events);
  // A kernfs file that was never read counts as changed: read once, so that only what comes later wakes anybody.
  if (Result<std::string> armed = reread_interface_file(events_); !armed) return pass(std::move(armed));
  const BorrowedFd memory = tree_->containers_of(Controller::memory);
  if (tree_->facts.version_of(Controller::memory) == Version::v2) {
    Result<UniqueFd> oom = sys::open_beneath(memory, name + "/memory.events", O_RDONLY);
    if (!oom) return pass(std::move(oom));
    oom_ = std::move(*oom);
    if (Result<std::string> armed = reread_interface_file(oom_); !armed) return pass(std::move(armed));
    return {};
  }
  // v1: the kernel writes to an eventfd that is registered with the group, which keeps no other descriptor of ours.
  // Source: Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
  oom_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!oom_) return fail_errno(errno, "eventfd", "cannot watch for an OOM");
  Result<UniqueFd> control = sys::open_beneath(memory, name + "/memory.oom_control", O_RDONLY);
  if (!control && control.error().errno_value == ENOENT) {  // half made or half removed: nothing runs there
    oom_.reset();
    return {};
  }
  if (!control) return pass(std::move(control));
  return write_interface_file(memory, name + "/cgroup.event_control", fmt::format("{} {}", oom_.get(), control->get()));
}

Result<UniqueFd> Group::cgroup2_fd() const {
  return sys::open_beneath(tree_->containers, to_string(leaf_), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<std::vector<Group::V1Leaf>> Group::v1_leaves() const {
  std::vector<V1Leaf> leaves;
  for (const V1Handles& hierarchy : tree_->v1) {
    Result<UniqueFd> procs = sys::open_beneath(hierarchy.containers, to_string(leaf_) + "/cgroup.procs", O_WRONLY);
    if (!procs && procs.error().errno_value == ENOENT && is_optional(hierarchy)) continue;
    if (!procs) return pass(std::move(procs));
    leaves.push_back({.controllers = hierarchy.all, .procs = std::move(*procs)});
  }
  return leaves;
}

Result<void> Group::set_cpu_weight(std::uint64_t weight) const {
  const std::optional<Version> version = tree_->facts.version_of(Controller::cpu);
  if (!version) return fail(ErrorKind::unsupported, "the cgroup controller cpu is lacking");
  const Setting setting = cpu_weight_setting(weight, *version);
  return write_interface_file(tree_->containers_of(setting.controller), to_string(leaf_) + "/" + setting.file,
                              setting.value);
}

Result<Usage> Group::usage() const {
  const bool v2 = tree_->facts.version_of(Controller::memory) == Version::v2;
  const std::string leaf = to_string(leaf_) + "/";
  const BorrowedFd memory = tree_->containers_of(Controller::memory);
  const BorrowedFd pids = tree_->containers_of(Controller::pids);
  Result<std::uint64_t> current = read_number(memory, leaf + (v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!current) return pass(std::move(current));
  Result<std::uint64_t> peak = read_number(memory, leaf + (v2 ? "memory.peak" : "memory.max_usage_in_bytes"));
  if (!peak) return pass(std::move(peak));
  Result<std::string> oom = read_interface_file(memory, leaf + (v2 ? "memory.events" : "memory.oom_control"));
  if (!oom) return pass(std::move(oom));
  Result<std::string> cpu = read_interface_file(tree_->containers, leaf + "cpu.stat");
  if (!cpu) return pass(std::move(cpu));
  Result<std::uint64_t> count = read_number(pids, leaf + "pids.current");
  if (!count) return pass(std::move(count));
  Result<std::string> refused = read_interface_file(pids, leaf + "pids.events");
  if (!refused) return pass(std::move(refused));
  return Usage{.memory = {*current},
               .memory_peak = {*peak},
               .cpu_time = std::chrono::microseconds(keyed_number(*cpu, "usage_usec")),
               .pids = *count,
               .pids_refused = keyed_number(*refused, "max"),
               .oom_kills = keyed_number(*oom, "oom_kill")};
}

Result<void> Group::freeze() const {
  return write_interface_file(tree_->containers, to_string(leaf_) + "/cgroup.freeze", "1");
}

Result<void> Group::thaw() const {
  return write_interface_file(tree_->containers, to_string(leaf_) + "/cgroup.freeze", "0");
}

Result<void> Group::kill() const {
  return write_interface_file(tree_->containers, to_string(leaf_) + "/cgroup.kill", "1");
}

Result<void> kill_group(BorrowedFd group) {
  return write_interface_file(group, "cgroup.kill", "1");
}

Result<UniqueFd> Group::make_inner() const {
  if (Result<void> ended = end_inner(); !ended) return pass(std::move(ended));
  Result<UniqueFd> leaf = cgroup2_fd();
  if (!leaf) return leaf;
  std::string name = std::string(inner_prefix) + "0";
  // Never one that is still emptying: the kernel was seen to kill what CLONE_INTO_CGROUP puts into a killed group.
  for (int next = 1; ::mkdirat(leaf->get(), name.c_str(), 0755) != 0; ++next) {
    if (errno != EEXIST)
      return fail_errno(errno, "mkdir", fmt::format("cannot make a cgroup inside '{}'", to_string(leaf_)));
    name = fmt::format("{}{}", inner_prefix, next);
  }
  return sys::open_beneath(*leaf, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<void> Group::end_inner() const {
  Result<UniqueFd> leaf = cgroup2_fd();
  if (!leaf && leaf.error().errno_value == ENOENT) return {};
  if (!leaf) return pass(std::move(leaf));
  Result<std::vector<std::string>> names = list_directory(*leaf);
  if (!names) return pass(std::move(names));
  for (const std::string& name : *names) {
    if (!name.starts_with(inner_prefix)) continue;
    (void)write_interface_file(*leaf, name + "/cgroup.kill", "1");  // gone already, or empty
    if (Result<bool> removed = remove_group(*leaf, name); !removed) return pass(std::move(removed));
  }
  return {};
}

Watch Group::events_watch() const {
  return {.fd = events_, .epoll_events = EPOLLPRI};
}

Result<Group::Events> Group::events() const {
  Result<std::string> text = reread_interface_file(events_);
  if (!text && text.error().errno_value == ENODEV) return Events{};  // removed
  if (!text) return pass(std::move(text));
  return Events{.populated = keyed_number(*text, "populated") != 0, .frozen = keyed_number(*text, "frozen") != 0};
}

Watch Group::oom_watch() const {
  const bool v2 = tree_->facts.version_of(Controller::memory) == Version::v2;
  return {.fd = oom_, .epoll_events = v2 ? EPOLLPRI : EPOLLIN};
}

Result<bool> Group::oom_reported() {
  const bool v2 = tree_->facts.version_of(Controller::memory) == Version::v2;
  const BorrowedFd memory = tree_->containers_of(Controller::memory);
  const std::string leaf = to_string(leaf_) + "/";
  // v1 signals before it kills, so the count may not show it yet; and it signals every group below the one that ran
  // out. If the leaf never met its own limit, a group above did, and only a kill in here concerns this container.
  bool signalled = false;
  if (!v2) {
    std::uint64_t count = 0;
    signalled = ::read(oom_.get(), &count, sizeof count) == sizeof count;
    Result<std::uint64_t> limit_met = read_number(memory, leaf + "memory.failcnt");
    if (!limit_met) return pass(std::move(limit_met));
    // Without swap both limits are one number, and a charge may fail at the other, which does not count here.
    Result<std::uint64_t> peak = read_number(memory, leaf + "memory.max_usage_in_bytes");
    if (!peak) return pass(std::move(peak));
    Result<std::uint64_t> limit = read_number(memory, leaf + "memory.limit_in_bytes");
    if (!limit) return pass(std::move(limit));
    signalled = signalled && (*limit_met > 0 || *peak >= *limit);
  }
  Result<std::string> text =
      v2 ? reread_interface_file(oom_) : read_interface_file(memory, leaf + "memory.oom_control");
  if (!text) return pass(std::move(text));
  const std::uint64_t kills = keyed_number(*text, "oom_kill");
  const bool killed = kills > oom_kills_seen_;
  oom_kills_seen_ = kills;
  return signalled || killed;
}

Result<bool> Group::remove() const {
  // Asked first, so that a process which is in the cgroup2 leaf and on its way into the others still finds them.
  if (events_) {
    Result<Events> now = events();
    if (!now) return pass(std::move(now));
    if (now->populated) return false;
  }
  const std::string name = to_string(leaf_);
  for (const V1Handles& hierarchy : tree_->v1) {
    Result<bool> removed = remove_group(hierarchy.containers, name);
    if (!removed) return removed;
    // Whoever is a container's process is in the cgroup2 leaf too; nothing will ever tell that a stranger left.
    if (!*removed)
      return fail(ErrorKind::conflict,
                  fmt::format("the cgroup '{}' of the v1 controller {} holds a process that is not the container's",
                              name, to_string(hierarchy.controllers.front())),
                  "move it elsewhere: its id is in cgroup.procs of that group");
  }
  if (Result<void> ended = end_inner(); !ended) return pass(std::move(ended));
  return remove_group(tree_->containers, name);  // last: see make()
}

}  // namespace orlop::cgroups
