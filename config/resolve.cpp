#include "config/resolve.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "config/capability.hpp"
#include "config/codec.hpp"

namespace orlop::config {
namespace {

std::unexpected<Error> refuse(const Container& container, std::string_view key, std::string_view fact,
                              std::string remedy) {
  auto failed = fail(ErrorKind::config, fmt::format("container '{}' {}", container.name, fact), std::move(remedy));
  if (Place place = container.places.of(key); place.line != 0) failed.error().place = std::move(place);
  return failed;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<gid_t> group_id(std::string_view written, const image::Record& record) {
  if (const auto gid = number(written)) return gid;
  const auto found = std::ranges::find(record.groups, written, &image::Group::name);
  return found == record.groups.end() ? std::nullopt : std::optional(found->gid);
}

struct Ids {
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The ids of a `user` that the file writes.
Result<Ids> written_user(const Container& container, const image::Record& record) {
  const std::string_view written = *container.user;
  const std::size_t colon = written.find(':');
  const std::string_view name = written.substr(0, colon);
  const auto uid = number(name);
  const auto account = uid ? std::ranges::find(record.users, *uid, &image::User::uid)
                           : std::ranges::find(record.users, name, &image::User::name);
  const bool known = account != record.users.end();
  if (!uid && !known)
    return refuse(container, "user", fmt::format("names user '{}', which the image does not have", name),
                  "write user = \"UID:GID\"");
  if (colon == std::string_view::npos) {
    if (!known)
      return refuse(container, "user",
                    fmt::format("names user {} without a group, and the image has no such user", name),
                    fmt::format("write user = \"{}:GID\"", name));
    return Ids{account->uid, account->gid};
  }
  const std::string_view group = written.substr(colon + 1);
  const auto gid = group_id(group, record);
  if (!gid)
    return refuse(container, "user", fmt::format("names group '{}', which the image does not have", group),
                  "write user = \"UID:GID\"");
  return Ids{uid ? *uid : account->uid, *gid};
}

Result<Ids> user(const Container& container, const image::Record& record) {
  const std::string remedy = "write user = \"UID:GID\"; or, if it must be root inside, allow.root_user = true";
  Ids ids;
  if (container.user) {
    Result<Ids> written = written_user(container, record);
    if (!written) return written;
    ids = *written;
  } else if (!record.user_problem.empty()) {
    return refuse(container, "user", fmt::format("has no user: {}", record.user_problem), "write user = \"UID:GID\"");
  } else if (record.user) {
    ids = {record.user->uid, record.user->gid};
  } else if (!container.allow.root_user) {
    return refuse(container, "user", "would run as root: neither the file nor the image names a user", remedy);
  }
  if (ids.uid == 0 && !container.allow.root_user)
    return refuse(container, "user",
                  fmt::format("would run as root: {} says user '{}'", container.user ? "the file" : "the image",
                              container.user ? *container.user : record.user->written),
                  remedy);
  return ids;
}

std::vector<std::string> arguments(const Container& container, const image::Record& record) {
  std::vector<std::string> out = container.entrypoint.value_or(record.entrypoint);
  const std::vector<std::string> rest =
      container.command.value_or(container.entrypoint ? std::vector<std::string>{} : record.command);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

std::vector<std::string> environment(const Container& container, const image::Record& record) {
  std::vector<std::string> out;
  bool path = container.env.contains("PATH");
  for (const std::string& variable : record.env) {
    const std::string name = variable.substr(0, variable.find('='));
    path = path || name == "PATH";
    if (!container.env.contains(name)) out.push_back(variable);
  }
  for (const auto& [name, value] : container.env) out.push_back(fmt::format("{}={}", name, value));
  if (!path) out.emplace_back(defaults::path);
  std::ranges::sort(out);
  return out;
}

std::size_t bytes(const std::vector<std::string>& strings) {
  std::size_t sum = 0;
  for (const std::string& text : strings) sum += text.size() + 1;
  return sum;
}

/// All sixteen: the defaults, and the file's laid over them.
std::vector<sandbox::Rlimit> rlimits(const Container& container, const Inherited& inherited) {
  std::vector<sandbox::Rlimit> out;
  for (int resource = 0; resource < static_cast<int>(rlimit_names().size()); ++resource)
    out.push_back({resource, RLIM_INFINITY, RLIM_INFINITY});
  const auto set = [&](int resource, std::uint64_t soft, std::uint64_t hard) {
    out.at(static_cast<std::size_t>(resource)) = {resource, soft, hard};
  };
  const std::uint64_t files = std::min(defaults::open_files_hard, inherited.open_files);
  set(RLIMIT_NOFILE, std::min(defaults::open_files_soft, files), files);
  set(RLIMIT_CORE, defaults::core_bytes, defaults::core_bytes);
  set(RLIMIT_STACK, defaults::stack_soft.count, RLIM_INFINITY);
  set(RLIMIT_MEMLOCK, defaults::locked_memory.count, defaults::locked_memory.count);
  set(RLIMIT_NPROC, container.limits.pids_max, container.limits.pids_max);
  set(RLIMIT_SIGPENDING, container.limits.pids_max, container.limits.pids_max);
  for (const int none : {RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO}) set(none, 0, 0);
  for (const auto& [name, limit] : container.rlimits) set(*rlimit_number(name), limit.soft, limit.hard);
  return out;
}

/// Whether `target` can be mounted on: in the sealed image, or in a tmpfs where it is made at start.
Result<void> check_target(const Container& container, const image::Record& record, const HoldsDirectory& holds,
                          std::string_view key, const std::string& target, bool directory) {
  constexpr std::array<std::string_view, 3> files = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};
  if (target == "/dev/shm") return {};  // orlop makes /dev
  if (directory && std::ranges::find(files, target) != files.end())
    return refuse(container, key, fmt::format("mounts a directory at {}, which is a file", target),
                  "mount it elsewhere");
  if (std::ranges::binary_search(record.mount_points, target)) return {};
  for (const auto& [path, tmpfs] : container.tmpfs)
    if (target.size() > path.size() && target.starts_with(path) && target[path.size()] == '/') return {};
  if (directory && holds && holds(target)) return {};
  return refuse(container, key,
                fmt::format("mounts at {}, which image {} does not have as a mount point", target, record.name),
                fmt::format("import the image again with it: orlop image import --mkdir {} PATH", target));
}

Result<void> add_mounts(const Container& container, const image::Record& record, const HoldsDirectory& holds,
                        sandbox::Spec& spec) {
  for (const auto& [target, tmpfs] : container.tmpfs) {
    if (auto there = check_target(container, record, holds, "tmpfs", target, true); !there) return there;
    spec.tmpfs.push_back({target, tmpfs.size, tmpfs.inodes, tmpfs.mode, tmpfs.exec});
  }
  for (const auto& [target, mount] : container.volumes) {
    if (auto there = check_target(container, record, holds, "volumes", target, true); !there) return there;
    spec.binds.push_back(
        {target, sandbox::Bind::Kind::volume, mount.volume, mount.mode == Access::read_write, mount.exec});
  }
  for (const auto& [target, source] : container.allow.host_paths) {
    if (auto there = check_target(container, record, holds, "allow.host_paths", target, false); !there) return there;
    spec.binds.push_back({target, sandbox::Bind::Kind::host_path, source, false, false});
  }
  std::ranges::sort(spec.binds, {}, &sandbox::Bind::target);  // a path sorts before what is inside it
  return {};
}

}  // namespace

Result<sandbox::Spec> resolve(const Container& container, const image::Record& record, const Inherited& inherited,
                              const HoldsDirectory& holds) {
  const Result<Ids> ids = user(container, record);
  if (!ids) return std::unexpected(ids.error());
  std::set<gid_t> groups;
  for (const std::string& group : container.groups) {
    const auto gid = group_id(group, record);
    if (!gid)
      return refuse(container, "groups", fmt::format("names group '{}', which the image does not have", group),
                    "write its number");
    groups.insert(*gid);
  }
  sandbox::Spec spec{
      .name = container.name,
      .hostname = container.hostname.value_or(container.name),
      .argv = arguments(container, record),
      .env = environment(container, record),
      .workdir = container.workdir.value_or(record.workdir),
      .uid = ids->uid,
      .gid = ids->gid,
      .groups = {groups.begin(), groups.end()},
      .tmpfs = {},
      .binds = {},
      .rlimits = rlimits(container, inherited),
      .capabilities = container.allow.capabilities,
      .writable_root = container.allow.writable_root,
      .init = container.init,
      .cgroup_view = container.allow.cgroup_view,
      .dev_log = container.dev_log,
      .own_network = needs_own_network(container.allow.capabilities),
  };
  const std::string_view program_key = container.entrypoint ? "entrypoint" : "command";
  if (spec.argv.empty() || spec.argv.front().empty())
    return refuse(container, program_key, "has nothing to run: neither the file nor the image names a command",
                  "add command = [\"PROGRAM\", …]");
  if (const std::string& program = spec.argv.front(); !program.starts_with('/') && program.contains('/'))
    return refuse(container, program_key,
                  fmt::format("runs {}, a path that does not start at the root", excerpt(program)),
                  "write an absolute path, or one name that is searched in PATH");
  if (bytes(spec.argv) > max_vector_bytes)
    return refuse(container, program_key, fmt::format("has {} bytes of arguments", bytes(spec.argv)),
                  fmt::format("allowed: {} bytes", max_vector_bytes));
  if (bytes(spec.env) > max_vector_bytes)
    return refuse(container, "env", fmt::format("has {} bytes of environment", bytes(spec.env)),
                  fmt::format("allowed: {} bytes", max_vector_bytes));
  if (auto mounted = add_mounts(container, record, holds, spec); !mounted)
    return std::unexpected(std::move(mounted).error());
  return spec;
}

std::optional<Health> health_check(const Container& container, const image::Record& record) {
  std::optional<Health> health = container.health;
  if (!health && record.healthcheck) {
    const image::Healthcheck& image = *record.healthcheck;
    health.emplace(Health{.exec = image.command});
    if (image.interval > Duration::zero()) health->interval = image.interval;
    if (image.timeout > Duration::zero()) health->timeout = image.timeout;
    if (image.start_period > Duration::zero()) health->start_period = image.start_period;
    if (image.retries > 0) health->retries = image.retries;
  }
  if (health && health->exec.empty()) return std::nullopt;
  return health;
}

int stop_signal(const Container& container, const image::Record& record) {
  if (container.stop.signal) return *container.stop.signal;
  return record.stop_signal != 0 ? record.stop_signal : SIGTERM;
}

}  // namespace orlop::config
