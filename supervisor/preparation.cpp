#include "supervisor/preparation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "config/resolve.hpp"
#include "supervisor/dev_log.hpp"

namespace orlop::supervisor {
namespace {

// A pipe whose write end the container's user may open again by /dev/stdout.
Result<sys::Pipe> log_pipe(std::uint32_t uid, std::uint32_t gid) {
  Result<sys::Pipe> pipe = sys::pipe();
  if (!pipe) return pipe;
  if (::fchown(pipe->write.get(), uid, gid) != 0)
    return fail_errno(errno, "fchown", "cannot give a log pipe to its container");
  const int flags = ::fcntl(pipe->read.get(), F_GETFL);
  if (flags < 0 || ::fcntl(pipe->read.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return fail_errno(errno, "fcntl", "cannot set up a log pipe");
  return pipe;
}

std::uint64_t inherited_open_files() {
  rlimit limit{};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);  // fails for a wrong argument only
  return limit.rlim_max;
}

Result<void> set_flags(BorrowedFd mount, bool writable, bool executable) {
  const std::uint64_t set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW |
                            (writable ? 0U : MOUNT_ATTR_RDONLY) | (executable ? 0U : MOUNT_ATTR_NOEXEC);
  return sys::set_mount_attributes(mount, set, 0, false, std::nullopt, MS_PRIVATE);
}

// The process is to begin in `group`.
Result<void> place(sandbox::Resources& resources, const cgroups::Group& group, Result<UniqueFd> leaf) {
  if (!leaf) return pass(std::move(leaf));
  resources.cgroup = std::move(*leaf);
  Result<std::vector<cgroups::Group::V1Leaf>> leaves = group.v1_leaves();
  if (!leaves) return pass(std::move(leaves));
  for (cgroups::Group::V1Leaf& v1 : *leaves)
    resources.v1_cgroups.push_back({std::move(v1.controllers), std::move(v1.procs)});
  return {};
}

}  // namespace

Preparation::Preparation(const Directories& directories, const MountView& view, const cgroups::Tree& tree,
                         const IdMap& ids, SealedImages& images)
    : directories_(directories),
      view_(view),
      tree_(tree),
      ids_(ids),
      images_(images),
      kernel_(sandbox::probe_kernel()) {}

Result<sandbox::Spec> Preparation::resolve(const config::Container& container, const image::Record& record) {
  return config::resolve(container, record, {.open_files = inherited_open_files()},
                         [&](const std::string& target) { return images_.holds_directory(record, target); });
}

Result<Prepared> Preparation::container(const config::Container& container, const image::Record& record,
                                        core::Start start) {
  Result<sandbox::Spec> spec = resolve(container, record);
  if (!spec) return pass(std::move(spec));
  const auto ids = ids_.find(id_owner_of_container(container.name));
  if (ids == ids_.end()) return fail(ErrorKind::internal, "the container has no id range");
  sandbox::Resources resources;
  resources.first_id = ids->second.first;
  Result<UniqueFd> root = images_.clone(record, ids->second, idmaps_);
  if (!root) return fail(std::move(root), fmt::format("cannot mount the image {}", image::text(container.image)));
  resources.root = std::move(*root);
  Result<std::vector<sandbox::MountAt>> mounts = mounts_of(*spec);
  if (!mounts) return pass(std::move(mounts));
  resources.mounts = std::move(*mounts);
  return assemble(std::move(*spec), std::move(resources), container.limits, start);
}

Result<Prepared> Preparation::worker(WorkerRequest request, core::Start start) {
  sandbox::Spec spec;
  spec.name = request.name;
  spec.hostname = request.name;
  spec.argv = std::move(request.argv);
  spec.env = {"PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8"};
  spec.capabilities = request.capabilities;
  spec.tmpfs = {{"/tmp", 16_MiB, 4096, 01777, false}};
  spec.rlimits = {{RLIMIT_CORE, 1, 1}, {RLIMIT_NOFILE, 1024, 1024}, {RLIMIT_CPU, 1800, 1800}};
  spec.umask = 0077;
  sandbox::Resources resources;
  resources.first_id = request.ids.first;
  Result<UniqueFd> root = view_.clone_template("worker");
  if (!root) return pass(std::move(root));
  resources.root = std::move(*root);
  for (sandbox::MountAt& mount : request.mounts) {
    const bool writable = mount.target == "/out";
    if (Result<void> set = set_flags(mount.mount, writable, false); !set) return pass(std::move(set));
    spec.binds.push_back({mount.target, sandbox::Bind::Kind::host_path, mount.target, writable, false});
  }
  resources.mounts = std::move(request.mounts);
  resources.inherited = std::move(request.inherited);
  cgroups::Limits limits;
  limits.memory_max = request.memory;
  limits.cpu_max_millis = 2000;
  limits.pids_max = 32;
  return assemble(std::move(spec), std::move(resources), limits, start);
}

Result<Prepared> Preparation::assemble(sandbox::Spec spec, sandbox::Resources resources, const cgroups::Limits& limits,
                                       core::Start start) {
  Prepared prepared;
  Result<UniqueFd> dev = view_.clone_template("dev");
  if (!dev) return pass(std::move(dev));
  resources.dev = std::move(*dev);
  Result<UniqueFd> input = sys::open("/dev/null", O_RDONLY);
  if (!input) return pass(std::move(input));
  resources.standard_input = std::move(*input);
  for (const auto& [end, stream] : {std::pair{&prepared.output, &resources.standard_output},
                                    std::pair{&prepared.error, &resources.standard_error}}) {
    Result<sys::Pipe> pipe = log_pipe(resources.first_id + spec.uid, resources.first_id + spec.gid);
    if (!pipe) return pass(std::move(pipe));
    *end = std::move(pipe->read);
    *stream = std::move(pipe->write);
  }
  if (!spec.own_network) {
    Result<UniqueFd> network = networks_.take();
    if (!network) return pass(std::move(network));
    resources.network = std::move(*network);
  }
  if (spec.dev_log) {
    Result<UniqueFd> directory = sys::open_beneath(view_.root(), "devlog", O_RDONLY | O_DIRECTORY);
    if (!directory) return pass(std::move(directory));
    Result<DevLogSocket> log = make_dev_log(*directory, "/devlog", std::to_string(start), resources.first_id + spec.uid,
                                            resources.first_id + spec.gid);
    if (!log) return pass(std::move(log));
    resources.dev_log = std::move(log->mount);
    prepared.dev_log = std::move(log->socket);
  }
  if (spec.init) {
    Result<BorrowedFd> program = reaper();
    if (!program) return pass(std::move(program));
    Result<UniqueFd> copy = sys::duplicate(*program);
    if (!copy) return pass(std::move(copy));
    resources.reaper = std::move(*copy);
  }
  Result<std::shared_ptr<const sandbox::SeccompFilter>> filter = filters_.get(spec.capabilities);
  if (!filter) return pass(std::move(filter));
  resources.filter = std::move(*filter);

  cgroups::Limits kept = limits;
  // v1 keeps no minimum: admission let this one through as best effort.
  if (tree_.facts().version_of(cgroups::Controller::memory) != cgroups::Version::v2) kept.memory_min = {};
  Result<cgroups::Group> group = tree_.create({spec.name, start}, kept);
  if (!group) return fail(std::move(group), "cannot make its cgroup");
  prepared.group = std::make_unique<cgroups::Group>(std::move(*group));
  if (Result<void> placed = place(resources, *prepared.group, prepared.group->cgroup2_fd()); !placed)
    return pass(std::move(placed));

  Result<std::unique_ptr<sandbox::Plan>> plan = sandbox::make_plan(spec, std::move(resources), kernel_);
  if (!plan) {
    (void)prepared.group->remove();  // the plan's error is the one to tell; what stays is swept at the next start
    return pass(std::move(plan));
  }
  prepared.spec = std::move(spec);
  prepared.plan = std::move(*plan);
  return prepared;
}

Result<std::vector<sandbox::MountAt>> Preparation::mounts_of(const sandbox::Spec& spec) {
  const auto ids = ids_.find(id_owner_of_container(spec.name));
  std::vector<sandbox::MountAt> mounts;
  for (const sandbox::Bind& bind : spec.binds) {
    Result<UniqueFd> mount = bind.kind == sandbox::Bind::Kind::volume ? volume(bind, ids->second, spec)
                                                                      : clone_host_mount(view_.host(), bind.source);
    if (!mount) return pass(std::move(mount));
    if (Result<void> set = set_flags(*mount, bind.writable, bind.executable); !set)
      return fail(std::move(set), fmt::format("cannot mount '{}'", bind.target));
    mounts.push_back({bind.target, std::move(*mount)});
  }
  return mounts;
}

Result<UniqueFd> Preparation::volume(const sandbox::Bind& bind, sandbox::IdRange ids, const sandbox::Spec& spec) {
  const std::string& name = bind.source;
  const std::string doing = fmt::format("cannot mount the volume '{}'", name);
  const auto own = ids_.find(id_owner_of_volume(name));
  if (own == ids_.end()) return fail(ErrorKind::internal, doing + ": it has no id range");
  Result<UniqueFd> directory =
      sys::open_beneath(directories_.volumes, name + "/data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!directory) return fail(std::move(directory), doing);
  struct stat status{};
  if (::fstat(directory->get(), &status) != 0) return fail_errno(errno, "fstat", doing);
  // A volume that nobody has written is still root's: the first that may write becomes the owner.
  if (bind.writable && status.st_uid == 0 &&
      ::fchown(directory->get(), own->second.first + spec.uid, own->second.first + spec.gid) != 0)
    return fail_errno(errno, "fchown", doing);
  Result<UniqueFd> mount = sys::clone_mount(*directory, "", false);
  if (!mount) return fail(std::move(mount), doing);
  Result<BorrowedFd> idmap = idmaps_.get(ids, own->second.first);
  if (!idmap) return fail(std::move(idmap), doing);
  if (Result<void> mapped = sys::set_mount_attributes(*mount, 0, 0, false, idmap->get()); !mapped)
    return fail(std::move(mapped), doing);
  return mount;
}

Result<BorrowedFd> Preparation::reaper() {
  if (reaper_) return BorrowedFd(reaper_);
  // A sealed copy in memory: a file of the host's would lie outside of every container's Landlock rules.
  Result<UniqueFd> file = sys::open_beneath(view_.root(), "template/reaper", O_RDONLY);
  if (!file) return fail(std::move(file), "cannot read orlop-reaper");
  Result<std::string> program = read_all(*file, std::size_t{1} << 20);
  if (!program) return fail(std::move(program), "cannot read orlop-reaper");
  Result<UniqueFd> memory = sys::memfd("orlop-reaper");
  if (!memory) return pass(std::move(memory));
  if (Result<void> written = write_all(*memory, *program); !written) return pass(std::move(written));
  if (::fchmod(memory->get(), 0555) != 0 ||
      ::fcntl(memory->get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return fail_errno(errno, "fcntl(F_ADD_SEALS)", "cannot seal orlop-reaper");
  reaper_ = std::move(*memory);
  return BorrowedFd(reaper_);
}

Result<std::unique_ptr<sandbox::Plan>> Preparation::inside(const sandbox::Spec& running, std::vector<std::string> argv,
                                                           BorrowedFd pidfd, const cgroups::Group& group,
                                                           UniqueFd output) {
  sandbox::Spec spec = running;
  spec.argv = std::move(argv);
  spec.init = false;
  sandbox::Resources resources;
  const auto ids = ids_.find(id_owner_of_container(spec.name));
  if (ids == ids_.end()) return fail(ErrorKind::internal, "the container has no id range");
  resources.first_id = ids->second.first;
  if (::fchown(output.get(), resources.first_id + spec.uid, resources.first_id + spec.gid) != 0)
    return fail_errno(errno, "fchown", "cannot give a pipe to the container");
  Result<UniqueFd> input = sys::open("/dev/null", O_RDONLY);
  if (!input) return pass(std::move(input));
  resources.standard_input = std::move(*input);
  Result<UniqueFd> error = sys::duplicate(output);
  if (!error) return pass(std::move(error));
  resources.standard_output = std::move(output);
  resources.standard_error = std::move(*error);
  Result<UniqueFd> joined = sys::duplicate(pidfd);
  if (!joined) return pass(std::move(joined));
  resources.joined = std::move(*joined);
  if (Result<void> placed = place(resources, group, group.make_inner()); !placed) return pass(std::move(placed));
  Result<std::shared_ptr<const sandbox::SeccompFilter>> filter = filters_.get(spec.capabilities);
  if (!filter) return pass(std::move(filter));
  resources.filter = std::move(*filter);
  return sandbox::make_join_plan(spec, std::move(resources), kernel_);
}

}  // namespace orlop::supervisor
