#include "sandbox/plan.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "sandbox/landlock.hpp"

namespace orlop::sandbox {
namespace {

constexpr std::size_t max_strings_bytes = std::size_t{128} << 10;
// Descriptors used after the payload's own are in place must not stand where those go.
constexpr int first_lifted_fd = 32;

/// Builds the steps of one Plan in the order in which the child walks them.
class Builder {
 public:
  Builder(const Spec& spec, Resources resources, const KernelFeatures& kernel)
      : spec_(spec), kernel_(kernel), plan_(std::make_unique<Plan>()) {
    plan_->name = spec.name;
    plan_->first_id = resources.first_id;
    plan_->resources = std::move(resources);
    plan_->clone_flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
                         (spec.own_network ? CLONE_NEWNET : 0);
  }

  Result<std::unique_ptr<Plan>> build() {
    if (Result<void> made = make_pipes(); !made) return pass(std::move(made));
    if (kernel_.memfd_noexec && !plan_->resources.joined) {
      Result<UniqueFd> file = sys::open("/proc/sys/vm/memfd_noexec", O_WRONLY);
      if (!file) return pass(std::move(file));
      plan_->resources.memfd_noexec = std::move(*file);
    }
    if (Result<void> set = set_program(); !set) return pass(std::move(set));
    enter();
    take_root();
    mount_all();
    protect_proc();
    add({.op = Op::detach_old_root});
    grant_mounts();
    confine();
    keep_fds();
    return std::move(plan_);
  }

  Result<std::unique_ptr<Plan>> build_join() {
    plan_->clone_flags = 0;
    if (Result<void> made = make_pipes(); !made) return pass(std::move(made));
    if (Result<void> set = set_program(); !set) return pass(std::move(set));
    add({.op = Op::close_other_fds});
    add({.op = Op::forbid_dump});
    for (const V1Cgroup& group : plan_->resources.v1_cgroups) add({.op = Op::join_cgroup, .fd = group.procs.get()});
    add({.op = Op::join_namespaces, .fd = plan_->resources.joined.get()});
    add({.op = Op::await_gate, .fd = plan_->gate.read.get()});
    add({.op = Op::become_root});
    add({.op = Op::set_umask, .a = spec_.umask});
    add({.op = Op::new_session});
    grant_mounts();
    confine();
    keep_fds();
    return std::move(plan_);
  }

 private:
  const char* keep(std::string text) { return plan_->strings.emplace_back(std::move(text)).c_str(); }
  void add(Step step) { plan_->steps.push_back(step); }

  Result<void> make_pipes() {
    for (sys::Pipe* made : {&plan_->gate, &plan_->report}) {
      Result<sys::Pipe> pipe = sys::pipe();
      if (!pipe) return pass(std::move(pipe));
      *made = std::move(*pipe);
    }
    Resources& resources = plan_->resources;
    std::vector<UniqueFd*> late = {&plan_->report.write, &resources.reaper, &resources.standard_input,
                                   &resources.standard_output, &resources.standard_error};
    for (UniqueFd& fd : resources.inherited) late.push_back(&fd);
    for (UniqueFd* fd : late) {
      if (!*fd || fd->get() >= first_lifted_fd) continue;
      const int lifted = ::fcntl(fd->get(), F_DUPFD_CLOEXEC, first_lifted_fd);
      if (lifted < 0) return fail_errno(errno, "fcntl(F_DUPFD_CLOEXEC)", "cannot move a file descriptor");
      fd->reset(lifted);
    }
    return {};
  }

  Result<void> set_program() {
    if (spec_.argv.empty() || spec_.argv.front().empty()) return fail(ErrorKind::config, "there is no command to run");
    std::size_t arguments = 0;
    std::size_t environment = 0;
    if (plan_->resources.reaper) plan_->argv = {"orlop-reaper", nullptr};
    for (std::size_t i = 0; i < spec_.argv.size(); ++i) {
      arguments += spec_.argv[i].size() + 1;
      if (i > 0 || !plan_->resources.reaper) plan_->argv.push_back(keep(spec_.argv[i]));
    }
    for (const std::string& variable : spec_.env) {
      environment += variable.size() + 1;
      plan_->envp.push_back(keep(variable));
    }
    if (arguments > max_strings_bytes || environment > max_strings_bytes)
      return fail(ErrorKind::limit, fmt::format("the {} larger than 128 KiB",
                                                arguments > max_strings_bytes ? "command is" : "environment is"));
    plan_->argv.push_back(nullptr);
    plan_->envp.push_back(nullptr);
    plan_->groups = spec_.groups;
    set_candidates();
    return {};
  }

  void set_candidates() {
    const std::string& program = spec_.argv.front();
    if (program.find('/') != std::string::npos) {
      plan_->candidates = {keep(program)};
      return;
    }
    std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const std::string& variable : spec_.env)
      if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
    while (!path.empty()) {
      const std::string_view directory = path.substr(0, path.find(':'));
      path.remove_prefix(std::min(path.size(), directory.size() + 1));
      if (directory.starts_with('/')) plan_->candidates.push_back(keep(fmt::format("{}/{}", directory, program)));
    }
  }

  void enter() {
    add({.op = Op::close_other_fds});
    add({.op = Op::forbid_dump});
    add({.op = Op::await_gate, .fd = plan_->gate.read.get()});
    // Its file is the host root's: opened by us, written while the child still has our uid, in its own pid namespace.
    if (plan_->resources.memfd_noexec) add({.op = Op::forbid_memfd_exec, .fd = plan_->resources.memfd_noexec.get()});
    add({.op = Op::become_root});
    add({.op = Op::set_umask, .a = spec_.umask});
    for (const V1Cgroup& group : plan_->resources.v1_cgroups) add({.op = Op::join_cgroup, .fd = group.procs.get()});
    add({.op = Op::new_cgroup_ns});
    add({.op = Op::new_session});
    if (spec_.own_network) add({.op = Op::loopback_up});
    add({.op = Op::set_hostname, .text = keep(spec_.hostname)});
  }

  void take_root() {
    add({.op = Op::attach_root, .fd = plan_->resources.root.get()});
    if (spec_.writable_root)
      add({.op = Op::overlay_root,
           .text = keep(fmt::format("size={},nr_inodes=65536,mode=755", spec_.writable_root->count))});
    add({.op = Op::pivot});
  }

  void grant_mounts() {
    rule("/", access_read | access_execute | (spec_.writable_root ? access_write : 0));
    rule("/dev", access_write_file | access_ioctl);
    rule("/proc", access_write_file);
    for (const Tmpfs& tmpfs : spec_.tmpfs) rule(tmpfs.target, access_write);
    for (const Bind& bind : spec_.binds)
      if (bind.writable) rule(bind.target, access_write);
  }

  /// A mount of the container, whatever its kind, so that all can be sorted: parents before what lies in them.
  struct Target {
    std::string_view path;
    const Tmpfs* tmpfs = nullptr;
    const Bind* bind = nullptr;
    int fd = -1;
  };

  void mount_all() {
    add({.op = Op::attach, .fd = plan_->resources.dev.get(), .path = "/dev"});
    if (plan_->resources.dev_log) add({.op = Op::attach, .fd = plan_->resources.dev_log.get(), .path = "/dev/log"});
    add({.op = Op::mount_pts, .path = "/dev/pts"});
    add({.op = Op::mount_proc, .path = "/proc"});
    if (spec_.cgroup_view) view_cgroup();

    std::vector<Target> targets;
    for (const Tmpfs& tmpfs : spec_.tmpfs) targets.push_back({.path = tmpfs.target, .tmpfs = &tmpfs});
    for (std::size_t i = 0; i < spec_.binds.size(); ++i)
      targets.push_back(
          {.path = spec_.binds[i].target, .bind = &spec_.binds[i], .fd = plan_->resources.mounts[i].mount.get()});
    std::ranges::sort(targets, {}, &Target::path);  // no two mounts have one target
    for (const Target& target : targets) {
      make_missing(target.path);
      if (target.tmpfs != nullptr)
        mount_tmpfs(*target.tmpfs);
      else
        add({.op = Op::attach, .fd = target.fd, .path = keep(std::string(target.path))});
    }
  }

  void mount_tmpfs(const Tmpfs& tmpfs) {
    const std::string options = fmt::format("size={},nr_inodes={},mode={:o},uid={},gid={}", tmpfs.size.count,
                                            tmpfs.inodes, tmpfs.mode, spec_.uid, spec_.gid);
    const unsigned long flags = MS_NOSUID | MS_NODEV | (tmpfs.executable ? 0UL : static_cast<unsigned long>(MS_NOEXEC));
    add({.op = Op::mount_tmpfs, .path = keep(tmpfs.target), .text = keep(options), .a = flags});
  }

  // A target inside one of our own tmpfs cannot be in the image: it is made there, each missing level.
  void make_missing(std::string_view target) {
    for (const Tmpfs& tmpfs : spec_.tmpfs) {
      if (!target.starts_with(tmpfs.target + "/")) continue;
      for (std::size_t end = target.find('/', tmpfs.target.size() + 1);; end = target.find('/', end + 1)) {
        add({.op = Op::make_directory, .path = keep(std::string(target.substr(0, end)))});
        if (end == std::string_view::npos) break;
      }
    }
  }

  // Mounted from inside the cgroup namespace, so the container's group is the top of each. On v2 there is one tree;
  // with v1 hierarchies each has a directory, as on a host.
  void view_cgroup() {
    const std::string place = "/sys/fs/cgroup";
    std::vector<std::pair<std::string, std::string>> views;  // directory, controllers
    for (const V1Cgroup& group : plan_->resources.v1_cgroups)
      views.emplace_back(place + "/" + group.controllers, group.controllers);
    const bool v2_alone = views.empty();
    views.emplace_back(v2_alone ? place : place + "/unified", "");

    add({.op = Op::mount_tmpfs,
         .path = "/sys",
         .text = "size=64k,nr_inodes=64,mode=755",
         .a = MS_NOSUID | MS_NODEV | MS_NOEXEC});
    add({.op = Op::make_directory, .path = "/sys/fs"});
    add({.op = Op::make_directory, .path = keep(place)});
    if (!v2_alone)
      for (const auto& view : views) add({.op = Op::make_directory, .path = keep(view.first)});
    add({.op = Op::read_only, .path = "/sys"});
    for (const auto& [directory, controllers] : views)
      add({.op = Op::mount_cgroup, .path = keep(directory), .text = keep(controllers)});
  }

  void protect_proc() {
    // No process of the container may make a user namespace, with whatever filter it runs; and without one, none of the
    // others.
    add({.op = Op::write_file, .path = "/proc/sys/user/max_user_namespaces", .text = "0"});
    for (const std::string& path : kernel_.masked_files) add({.op = Op::mask_file, .path = keep(path)});
    for (const std::string& path : kernel_.masked_directories) add({.op = Op::mask_directory, .path = keep(path)});
    for (const std::string& path : kernel_.read_only_paths) add({.op = Op::read_only, .path = keep(path)});
  }

  void confine() {
    for (const Rlimit& limit : spec_.rlimits)
      add({.op = Op::set_rlimit, .a = static_cast<std::uint64_t>(limit.resource), .b = limit.soft, .c = limit.hard});
    add({.op = Op::set_groups});
    add({.op = Op::no_new_privs});
    add({.op = Op::drop_bounding, .a = spec_.capabilities});
    if (spec_.capabilities != 0) add({.op = Op::raise_ambient, .a = spec_.capabilities});
    add({.op = Op::lock_securebits});
    add({.op = Op::become_user, .a = spec_.uid, .b = spec_.gid});
    add({.op = Op::set_capabilities, .a = spec_.capabilities});
    add({.op = Op::die_with_parent});
    add({.op = Op::change_directory, .path = keep(spec_.workdir)});
    add({.op = Op::place_stdio});
    add({.op = Op::reset_signals});
    if (plan_->landlock_handled != 0) add({.op = Op::landlock});
    add({.op = Op::seccomp});
    add({.op = Op::execute});
  }

  void rule(std::string_view path, std::uint64_t access) {
    plan_->landlock_handled = handled_access(kernel_.landlock_abi);
    access &= plan_->landlock_handled;
    if (access != 0) plan_->landlock_rules.push_back({keep(std::string(path)), access});
  }

  void keep_fds() {
    Resources& resources = plan_->resources;
    std::vector<int>& kept = plan_->kept_fds;
    for (const UniqueFd* fd : {&plan_->gate.read, &plan_->report.write, &resources.root, &resources.dev,
                               &resources.standard_input, &resources.standard_output, &resources.standard_error,
                               &resources.reaper, &resources.memfd_noexec, &resources.joined, &resources.dev_log})
      if (*fd) kept.push_back(fd->get());
    for (const MountAt& mount : resources.mounts) kept.push_back(mount.mount.get());
    for (const V1Cgroup& group : resources.v1_cgroups) kept.push_back(group.procs.get());
    for (const UniqueFd& fd : resources.inherited) kept.push_back(fd.get());
    std::ranges::sort(kept);
  }

  const Spec& spec_;
  const KernelFeatures& kernel_;
  std::unique_ptr<Plan> plan_;
};

}  // namespace

Result<std::unique_ptr<Plan>> make_plan(const Spec& spec, Resources resources, const KernelFeatures& kernel) {
  if (resources.mounts.size() != spec.binds.size())
    return fail(ErrorKind::internal, "a plan has not one mount for each bind");
  return Builder(spec, std::move(resources), kernel).build();
}

Result<std::unique_ptr<Plan>> make_join_plan(const Spec& spec, Resources resources, const KernelFeatures& kernel) {
  resources.root.reset();
  resources.dev.reset();
  resources.mounts.clear();
  return Builder(spec, std::move(resources), kernel).build_join();
}

}  // namespace orlop::sandbox
