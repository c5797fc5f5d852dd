#include "cgroups/tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/name.hpp"
#include "base/sys.hpp"
#include "cgroups/device_filter.hpp"
#include "cgroups/interface_file.hpp"
#include "cgroups/tree_handles.hpp"

namespace orlop::cgroups {
namespace {

// Open to all whatever orlopd's umask, as a host's other groups are: older kernels let a container mount the view of
// its group only if it could have walked there.
Result<UniqueFd> make_group(BorrowedFd parent, const std::string& name) {
  constexpr mode_t mode = 0755;
  Result<UniqueFd> group = make_directory(parent, name, mode);
  if (!group) return group;
  if (::fchmod(group->get(), mode) != 0) return fail_errno(errno, "fchmod", "cannot open the cgroup '" + name + "'");
  return group;
}

// The top of a mounted hierarchy, which must be what mountinfo said.
Result<UniqueFd> open_hierarchy(const std::string& mount_point, long magic) {
  Result<UniqueFd> top = sys::open(mount_point, O_RDONLY | O_DIRECTORY);
  if (!top) return top;
  struct statfs status{};
  if (::fstatfs(top->get(), &status) != 0) return fail_errno(errno, "fstatfs", "cannot look at " + mount_point);
  if (status.f_type != magic)
    return fail(ErrorKind::conflict, fmt::format("'{}' is no cgroup hierarchy any more", mount_point));
  return top;
}

// `path` without the slashes around it; "." for the top.
std::string below_top(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return path.empty() ? "." : std::string(path);
}

Result<UniqueFd> open_parent(BorrowedFd top, const std::string& parent, std::string_view where) {
  Result<UniqueFd> directory = sys::open_beneath(top, parent, O_RDONLY | O_DIRECTORY);
  if (!directory && directory.error().errno_value == ENOENT)
    return fail(ErrorKind::config, fmt::format("the parent cgroup '{}' does not exist in {}", parent, where),
                "make it in every hierarchy first: orlop makes groups only below it");
  if (!directory) return fail(std::move(directory), fmt::format("cannot open the parent cgroup in {}", where));
  return directory;
}

// The own group of a successor is the `self` that its predecessor made.
std::string without_self(std::string own, std::string_view name) {
  const std::string self = fmt::format("{}/self", name);
  if (own == self) return {};
  if (own.ends_with("/" + self)) own.resize(own.size() - self.size() - 1);
  return own;
}

std::string consequence_of(Controller controller) {
  switch (controller) {
    case Controller::cpu:
      return "no container is started: its CPU limit, weight and minimum could not be kept";
    case Controller::memory:
      return "no container is started: its memory limit could not be kept";
    case Controller::pids:
      return "no container is started: its limit of processes could not be kept";
    case Controller::cpuset:
      break;
  }
  return "a container that names 'cpus' is refused";
}

// Hands `controller` of v2 down through parent, own and containers. Nothing: done.
std::optional<Lack> hand_down(Controller controller, const TreeHandles& handles, const std::string& parent) {
  const std::string name(to_string(controller));
  const auto lack = [&](std::string why, std::string remedy) {
    return Lack{.what = "controller " + name,
                .why = std::move(why),
                .consequence = consequence_of(controller),
                .remedy = std::move(remedy)};
  };
  Result<std::string> available = read_interface_file(handles.parent, "cgroup.controllers");
  if (!available) return lack(sentence(available.error()), "");
  if (!has_word(*available, name)) {
    if (parent == ".") return lack("this kernel does not have it in cgroup2, and no v1 hierarchy of it is mounted", "");
    return lack(fmt::format("the level above '{}' does not hand it down", parent),
                "have it delegated: Delegate=yes in the unit of a systemd service");
  }
  for (const BorrowedFd level : {BorrowedFd(handles.parent), BorrowedFd(handles.own), BorrowedFd(handles.containers)}) {
    Result<std::string> enabled = read_interface_file(level, "cgroup.subtree_control");
    if (enabled && has_word(*enabled, name)) continue;
    Result<void> written = write_interface_file(level, "cgroup.subtree_control", "+" + name);
    if (written) continue;
    if (written.error().errno_value == EBUSY)
      return lack(fmt::format("processes that are not orlop's are in '{}', so that it can hand nothing down", parent),
                  "start orlop in a group of its own, or name one with --cgroup-parent");
    return lack(sentence(written.error()), "");
  }
  return std::nullopt;
}

// A v1 cpuset takes no process before it names CPUs and memory nodes; its children are told to begin with the same.
Result<void> inherit_cpuset(BorrowedFd from, BorrowedFd to) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    Result<std::string> value = read_interface_file(from, file);
    if (!value) return pass(std::move(value));
    if (Result<void> written = write_interface_file(to, file, *value); !written) return written;
  }
  return write_interface_file(to, "cgroup.clone_children", "1");
}

Result<V1Handles> make_v1(const V1Hierarchy& hierarchy, const std::string& parent, const std::string& name) {
  V1Handles handles{.controllers = hierarchy.controllers, .all = hierarchy.all, .parent = {}, .containers = {}};
  Result<UniqueFd> top = open_hierarchy(hierarchy.mount_point, CGROUP_SUPER_MAGIC);
  if (!top) return pass(std::move(top));
  Result<UniqueFd> above = open_parent(*top, parent, hierarchy.mount_point);
  if (!above) return pass(std::move(above));
  const bool cpuset = std::ranges::find(hierarchy.controllers, Controller::cpuset) != hierarchy.controllers.end();
  if (cpuset && read_interface_file(*above, "cpuset.cpus") == "")
    return fail(ErrorKind::conflict,
                fmt::format("the parent cgroup '{}' in {} has no CPUs", parent, hierarchy.mount_point),
                "write its cpuset.cpus and cpuset.mems");
  Result<UniqueFd> own = make_group(*above, name);
  if (!own) return pass(std::move(own));
  // Inherited by every group below: nothing of the host is ever run because one becomes empty.
  if (Result<void> written = write_interface_file(*own, "notify_on_release", "0"); !written)
    return pass(std::move(written));
  Result<UniqueFd> containers = make_group(*own, "c");
  if (!containers) return pass(std::move(containers));
  if (cpuset) {
    if (Result<void> inherited = inherit_cpuset(*above, *own); !inherited) return pass(std::move(inherited));
    if (Result<void> inherited = inherit_cpuset(*own, *containers); !inherited) return pass(std::move(inherited));
  }
  handles.parent = std::move(*above);
  handles.containers = std::move(*containers);
  return handles;
}

Result<UniqueFd> open_unified(const Unified& unified) {
  if (!unified.mount_point.empty()) return open_hierarchy(unified.mount_point, CGROUP2_SUPER_MAGIC);
  return sys::new_mount("cgroup2", {}, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

// Levels above orlop's that keep no memory: a memory minimum below them holds only against orlop's own groups.
void find_unkept_memory(BorrowedFd top, const std::string& parent, std::vector<Lack>& lacking) {
  for (std::size_t end = parent == "." ? std::string::npos : parent.find('/');; end = parent.find('/', end + 1)) {
    const std::string level = parent.substr(0, end);
    Result<std::string> kept = read_interface_file(top, level + "/memory.min");  // the very top has no such file
    if (kept && *kept == "0")
      lacking.push_back({.what = fmt::format("memory.min of '{}'", level),
                         .why = "a level above orlop's groups keeps no memory",
                         .consequence = "a container's memory minimum holds only against other containers",
                         .remedy = fmt::format("set memory.min of '{}' (MemoryMin= of the unit)", level)});
    if (end == std::string::npos) return;
  }
}

void find_memory_facts(TreeHandles& handles) {
  Facts& facts = handles.facts;
  const std::optional<Version> version = facts.version_of(Controller::memory);
  if (!version) return;
  const BorrowedFd containers = handles.containers_of(Controller::memory);
  const char* file = *version == Version::v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes";
  facts.swap_limit = ::faccessat(containers.get(), file, F_OK, 0) == 0;
  if (!facts.swap_limit)
    facts.lacking.push_back({.what = "limit of swap",
                             .why = "this kernel does not account swap",
                             .consequence = *version == Version::v2
                                                ? "a container may swap without a limit"
                                                : "a container does not swap unless it is allowed to",
                             .remedy = "boot with swapaccount=1"});
  if (*version == Version::v1)
    facts.lacking.push_back({.what = "memory.min, memory.high and the OOM kill of a whole group",
                             .why = "the memory controller is on cgroup v1",
                             .consequence =
                                 "a container that asks for memory.min or memory.high is refused; the kernel "
                                 "kills one process for want of memory and orlop the rest",
                             .remedy = "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)"});
}

void load_filter(TreeHandles& handles) {
  Result<UniqueFd> filter = load_device_filter(device_program(default_devices()));
  handles.facts.device_filter = filter.has_value();
  if (filter)
    handles.device_filter = std::move(*filter);
  else
    handles.facts.lacking.push_back({.what = "device filter",
                                     .why = sentence(filter.error()),
                                     .consequence = "devices are kept out by nodev mounts and a private /dev alone",
                                     .remedy = "a kernel with CONFIG_CGROUP_BPF"});
}

std::optional<Leaf> parse_leaf(std::string_view written) {
  const std::size_t dot = written.rfind('.');
  if (dot == std::string_view::npos || !is_valid_name(written.substr(0, dot))) return std::nullopt;
  Leaf leaf{.name = std::string(written.substr(0, dot))};
  const auto [end, error] = std::from_chars(written.data() + dot + 1, written.data() + written.size(), leaf.start);
  if (error != std::errc() || end != written.data() + written.size()) return std::nullopt;
  return leaf;
}

}  // namespace

Result<Tree> Tree::make(const Hierarchies& hierarchies, const Options& options) {
  const std::string doing = "cannot make orlop's cgroups";
  auto handles = std::make_shared<TreeHandles>();
  handles->name = "orlop-" + hex(sha256(options.state_directory)).substr(0, 12);
  const bool named = !options.parent.empty();
  const std::string parent =
      below_top(named ? options.parent : without_self(hierarchies.unified.own_group, handles->name));

  Result<UniqueFd> top = open_unified(hierarchies.unified);
  if (!top) return fail(std::move(top), doing);
  Result<UniqueFd> above = open_parent(*top, parent, "the cgroup2 tree");
  if (!above) return fail(std::move(above), doing);
  handles->parent = std::move(*above);
  Result<UniqueFd> own = make_group(handles->parent, handles->name);
  if (!own) return fail(std::move(own), doing);
  handles->own = std::move(*own);
  Result<UniqueFd> self = make_group(handles->own, "self");
  if (!self) return fail(std::move(self), doing);
  Result<UniqueFd> containers = make_group(handles->own, "c");
  if (!containers) return fail(std::move(containers), doing);
  handles->containers = std::move(*containers);
  // Leaves, the groups of health checks inside them, and nothing below: whatever a process may write, groups do not
  // pile up.
  if (Result<void> written = write_interface_file(handles->containers, "cgroup.max.depth", "2"); !written)
    return fail(std::move(written), doing);

  // Before controllers are handed down: a group with processes can hand none down ("no internal processes"). It is
  // right on every host: a process that sits in a group which was killed once may clone nobody into another group.
  for (const pid_t process : options.own_processes)
    if (Result<void> moved = write_interface_file(*self, "cgroup.procs", fmt::to_string(process)); !moved)
      return fail(std::move(moved), doing);

  Facts& facts = handles->facts;
  facts.kind = hierarchies.kind;
  facts.group = parent == "." ? handles->name : parent + "/" + handles->name;
  for (const V1Hierarchy& hierarchy : hierarchies.v1) {
    Result<V1Handles> made = make_v1(hierarchy, named ? parent : ".", handles->name);
    if (!made && hierarchy.controllers == std::vector{Controller::cpuset}) {
      facts.lacking.push_back({.what = "controller cpuset",
                               .why = sentence(made.error()),
                               .consequence = consequence_of(Controller::cpuset),
                               .remedy = made.error().remedy});
      continue;
    }
    if (!made) return fail(std::move(made), doing);
    for (const Controller controller : made->controllers) facts.controllers.emplace_back(controller, Version::v1);
    handles->v1.push_back(std::move(*made));
  }
  for (const Controller controller : all_controllers) {
    if (facts.version_of(controller)) continue;
    if (std::optional<Lack> lack = hand_down(controller, *handles, parent))
      facts.lacking.push_back(std::move(*lack));
    else
      facts.controllers.emplace_back(controller, Version::v2);
  }
  std::ranges::sort(facts.controllers);
  find_memory_facts(*handles);
  if (facts.version_of(Controller::memory) == Version::v2) find_unkept_memory(*top, parent, facts.lacking);
  load_filter(*handles);
  return Tree(std::move(handles));
}

const Facts& Tree::facts() const {
  return handles_->facts;
}

Result<Group> Tree::create(const Leaf& leaf, const Limits& limits) const {
  if (!is_valid_name(leaf.name))
    return fail(ErrorKind::internal, fmt::format("'{}' is no name for a cgroup", leaf.name));
  Group group(handles_, leaf);
  if (Result<void> made = group.make(limits); !made)
    return fail(std::move(made), fmt::format("cannot make the cgroups of '{}'", leaf.name));
  return group;
}

Result<Group> Tree::open(const Leaf& leaf) const {
  Group group(handles_, leaf);
  if (Result<void> watched = group.watch(); !watched)
    return fail(std::move(watched), fmt::format("cannot open the cgroups of '{}'", leaf.name));
  return group;
}

Result<std::vector<Leaf>> Tree::list() const {
  Result<std::vector<std::string>> names = list_directory(handles_->containers);
  if (!names) return fail(std::move(names), "cannot list orlop's cgroups");
  std::vector<Leaf> leaves;
  for (const std::string& name : *names)
    if (std::optional<Leaf> leaf = parse_leaf(name)) leaves.push_back(std::move(*leaf));
  std::ranges::sort(leaves);
  return leaves;
}

Result<void> Tree::set_memory_min(Bytes sum) const {
  if (handles_->facts.version_of(Controller::memory) != Version::v2) return {};
  for (const BorrowedFd level : {BorrowedFd(handles_->own), BorrowedFd(handles_->containers)})
    if (Result<void> written = write_interface_file(level, "memory.min", fmt::to_string(sum.count)); !written)
      return fail(std::move(written), "cannot keep the memory that containers are guaranteed");
  return {};
}

// Gives orlop's own processes back to the group that they came from. On v2 a group that hands controllers down takes no
// process (but for the root): they stay where they are then, and so do the groups, for the next start.
void Tree::leave_self() const {
  const Result<std::string> members = read_interface_file(handles_->own, "self/cgroup.procs");
  if (!members) return;
  std::string_view rest = *members;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    (void)write_interface_file(handles_->parent, "cgroup.procs", std::string(line));
  }
}

Result<void> Tree::remove() {
  leave_self();
  const auto remove_group = [](BorrowedFd parent, const std::string& path) -> Result<void> {
    if (::unlinkat(parent.get(), path.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno == EBUSY) return fail(ErrorKind::conflict, fmt::format("the cgroup '{}' is in use", path));
    return fail_errno(errno, "rmdir", fmt::format("cannot remove the cgroup '{}'", path));
  };
  const std::string& name = handles_->name;
  for (const V1Handles& hierarchy : handles_->v1)
    for (const std::string& path : {name + "/c", name})
      if (Result<void> removed = remove_group(hierarchy.parent, path); !removed) return removed;
  for (const std::string& path : {name + "/c", name + "/self", name})
    if (Result<void> removed = remove_group(handles_->parent, path); !removed) return removed;
  return {};
}

}  // namespace orlop::cgroups
