// The table of the host file: one row a key. Rows of one struct are in the order in which they are printed.
#include "config/schema.hpp"

#include <array>

#include "config/codec.hpp"
#include "config/host.hpp"

namespace orlop::config {
namespace {

constexpr std::int64_t second = 1000;
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t hour = 60 * minute;
constexpr std::int64_t day = 24 * hour;
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t mebibyte = 1U << 20;

using HostRow = Rows<Host>;
constexpr std::array host_keys = {
    HostRow::key<Ruled<Name>>("host.name", [](auto& h) -> auto& { return h.name; }),
    HostRow::key<Map<Label, Text>>("host.labels", [](auto& h) -> auto& { return h.labels; }),
    HostRow::key<Size<>>("host.reserve.memory", [](auto& h) -> auto& { return h.reserve.memory; }),
    HostRow::key<Cpu<0>>("host.reserve.cpu", [](auto& h) -> auto& { return h.reserve.cpu_millis; }),
    HostRow::key<Map<Name, Table<Volume>>>("volume", [](auto& h) -> auto& { return h.volumes; }),
    HostRow::key<Map<Name, Table<Container>>>("container", [](auto& h) -> auto& { return h.containers; }),
};
constexpr std::array<std::string_view, 9> later_host_keys = {
    "host.sensitivity", "host.log", "host.control", "host.follow", "registry", "trust", "policy", "network", "secret"};

constexpr std::array<std::string_view, 4> later_volume_keys = {"size", "backup", "encrypt", "wipe_on_reset"};

using TmpfsRow = Rows<Tmpfs>;
constexpr std::array tmpfs_keys = {
    TmpfsRow::key<Size<page>>("size", [](auto& t) -> auto& { return t.size; }),
    TmpfsRow::key<Mode>("mode", [](auto& t) -> auto& { return t.mode; }),
    TmpfsRow::key<Integer<1, 1 << 24>>("inodes", [](auto& t) -> auto& { return t.inodes; }),
    TmpfsRow::key<Boolean>("exec", [](auto& t) -> auto& { return t.exec; }),
};

using MountRow = Rows<VolumeMount>;
constexpr std::array mount_keys = {
    MountRow::required<Ruled<Name>>("volume", [](auto& v) -> auto& { return v.volume; }),
    MountRow::key<Word<Access>>("mode", [](auto& v) -> auto& { return v.mode; }),
    MountRow::key<Boolean>("exec", [](auto& v) -> auto& { return v.exec; }),
};

using HealthRow = Rows<Health>;
constexpr std::array health_keys = {
    HealthRow::required<List<Text>>("exec", [](auto& h) -> auto& { return h.exec; }),
    HealthRow::key<Time<100, day>>("interval", [](auto& h) -> auto& { return h.interval; }),
    HealthRow::key<Time<100, hour>>("timeout", [](auto& h) -> auto& { return h.timeout; }),
    HealthRow::key<Integer<1, 1000>>("retries", [](auto& h) -> auto& { return h.retries; }),
    HealthRow::key<Time<0, day>>("start_period", [](auto& h) -> auto& { return h.start_period; }),
};
constexpr std::array<std::string_view, 3> later_health_keys = {"tcp", "http", "then"};

using Row = Rows<Container>;
constexpr std::array container_keys = {
    Row::required<ImageReference>("image", [](auto& c) -> auto& { return c.image; }),
    Row::key<List<Text>>("entrypoint", [](auto& c) -> auto& { return c.entrypoint; }),
    Row::key<List<Text>>("command", [](auto& c) -> auto& { return c.command; }),
    Row::key<Map<Variable, Text>>("env", [](auto& c) -> auto& { return c.env; }),
    Row::key<Ruled<Path>>("workdir", [](auto& c) -> auto& { return c.workdir; }),
    Row::key<Ruled<User>>("user", [](auto& c) -> auto& { return c.user; }),
    Row::key<Set<GroupName, 64>>("groups", [](auto& c) -> auto& { return c.groups; }),
    Row::key<Ruled<HostName>>("hostname", [](auto& c) -> auto& { return c.hostname; }),
    Row::key<Boolean>("init", [](auto& c) -> auto& { return c.init; }),
    Row::key<Boolean>("dev_log", [](auto& c) -> auto& { return c.dev_log; }),
    Row::key<Word<Run>>("run", [](auto& c) -> auto& { return c.run; }),
    Row::key<Set<Ruled<Name>>>("after", [](auto& c) -> auto& { return c.after; }),
    Row::key<Set<Ruled<Name>>>("requires", [](auto& c) -> auto& { return c.requirements; }),

    Row::key<Ruled<CpuList>>("cpus", [](auto& c) -> auto& { return c.limits.cpus; }),
    Row::key<Integer<1, 10000>>("resources.cpu.weight", [](auto& c) -> auto& { return c.limits.cpu_weight; }),
    Row::key<Cpu<0>>("resources.cpu.min", [](auto& c) -> auto& { return c.limits.cpu_min_millis; }),
    Row::key<Cpu<10>>("resources.cpu.max", [](auto& c) -> auto& { return c.limits.cpu_max_millis; }),
    Row::key<Size<>>("resources.memory.min", [](auto& c) -> auto& { return c.limits.memory_min; }),
    Row::key<Size<mebibyte>>("resources.memory.high", [](auto& c) -> auto& { return c.limits.memory_high; }),
    Row::key<Size<mebibyte>>("resources.memory.max", [](auto& c) -> auto& { return c.limits.memory_max; }),
    Row::key<Size<>>("resources.swap", [](auto& c) -> auto& { return c.limits.swap_max; }),
    Row::key<Integer<1, 4194304>>("resources.pids", [](auto& c) -> auto& { return c.limits.pids_max; }),
    Row::key<Map<RlimitName, RlimitEntry>>("rlimits", [](auto& c) -> auto& { return c.rlimits; }),

    Row::key<Map<MountTarget, TmpfsEntry>>("tmpfs", [](auto& c) -> auto& { return c.tmpfs; }),
    Row::key<Map<MountTarget, Table<VolumeMount>>>("volumes", [](auto& c) -> auto& { return c.volumes; }),

    Row::key<HealthCheck>("health", [](auto& c) -> auto& { return c.health; }),
    Row::key<Word<RestartPolicy>>("restart.policy", [](auto& c) -> auto& { return c.restart.policy; }),
    Row::key<Time<10, hour>>("restart.backoff.min", [](auto& c) -> auto& { return c.restart.backoff_min; }),
    Row::key<Time<10, day>>("restart.backoff.max", [](auto& c) -> auto& { return c.restart.backoff_max; }),
    Row::key<Integer<0, 10000>>("restart.limit", [](auto& c) -> auto& { return c.restart.limit; }),
    Row::key<Time<second, 30 * day>>("restart.window", [](auto& c) -> auto& { return c.restart.window; }),
    Row::key<Signal>("stop.signal", [](auto& c) -> auto& { return c.stop.signal; }),
    Row::key<Time<0, hour>>("stop.grace", [](auto& c) -> auto& { return c.stop.grace; }),

    Row::key<Size<64 * 1024, 1ULL << 40>>("log.size", [](auto& c) -> auto& { return c.log.size; }),
    Row::key<Integer<1, 100>>("log.files", [](auto& c) -> auto& { return c.log.files; }),
    Row::key<Rate>("log.rate", [](auto& c) -> auto& { return c.log.rate; }),
    Row::key<Word<WhenFull>>("log.full", [](auto& c) -> auto& { return c.log.full; }),

    Row::key<Capabilities>("allow.capabilities", [](auto& c) -> auto& { return c.allow.capabilities; }),
    Row::key<Size<page>>("allow.writable_root", [](auto& c) -> auto& { return c.allow.writable_root; }),
    Row::key<Boolean>("allow.root_user", [](auto& c) -> auto& { return c.allow.root_user; }),
    Row::key<Boolean>("allow.cgroup_view", [](auto& c) -> auto& { return c.allow.cgroup_view; }),
    Row::key<Map<MountTarget, Ruled<HostPath>>>("allow.host_paths",
                                                [](auto& c) -> auto& { return c.allow.host_paths; }),
    Row::key<Boolean>("allow.best_effort_memory_min", [](auto& c) -> auto& { return c.allow.best_effort_memory_min; }),
};
constexpr std::array<std::string_view, 19> later_container_keys = {"critical",
                                                                   "secrets",
                                                                   "network",
                                                                   "ports",
                                                                   "ingress",
                                                                   "egress",
                                                                   "lifetime",
                                                                   "seccomp",
                                                                   "replicas",
                                                                   "autoscale",
                                                                   "executables",
                                                                   "devices",
                                                                   "restart.then",
                                                                   "sensitivity",
                                                                   "allow.seccomp",
                                                                   "allow.exec",
                                                                   "allow.host_network",
                                                                   "allow.host_users",
                                                                   "allow.secret_env"};

}  // namespace

template <>
std::span<const Key<Host>> keys_of<Host>() {
  return host_keys;
}
template <>
std::span<const std::string_view> later_keys_of<Host>() {
  return later_host_keys;
}
template <>
std::span<const Key<Volume>> keys_of<Volume>() {
  return {};
}
template <>
std::span<const std::string_view> later_keys_of<Volume>() {
  return later_volume_keys;
}
template <>
std::span<const Key<Tmpfs>> keys_of<Tmpfs>() {
  return tmpfs_keys;
}
template <>
std::span<const std::string_view> later_keys_of<Tmpfs>() {
  return {};
}
template <>
std::span<const Key<VolumeMount>> keys_of<VolumeMount>() {
  return mount_keys;
}
template <>
std::span<const std::string_view> later_keys_of<VolumeMount>() {
  return {};
}
template <>
std::span<const Key<Health>> keys_of<Health>() {
  return health_keys;
}
template <>
std::span<const std::string_view> later_keys_of<Health>() {
  return later_health_keys;
}
template <>
std::span<const Key<Container>> keys_of<Container>() {
  return container_keys;
}
template <>
std::span<const std::string_view> later_keys_of<Container>() {
  return later_container_keys;
}

std::vector<KeyDoc> schema() {
  std::vector<KeyDoc> out;
  Table<Host>::list("", out);
  return out;
}

std::vector<std::string> later_keys() {
  std::vector<std::string> out(later_host_keys.begin(), later_host_keys.end());
  for (const std::string_view key : later_volume_keys) out.push_back(fmt::format("volume.NAME.{}", key));
  for (const std::string_view key : later_container_keys) out.push_back(fmt::format("container.NAME.{}", key));
  for (const std::string_view key : later_health_keys) out.push_back(fmt::format("container.NAME.health.{}", key));
  return out;
}

std::map<std::string, Tmpfs> standard_tmpfs() {
  std::map<std::string, Tmpfs> out;
  for (const defaults::StandardTmpfs& tmpfs : defaults::standard_tmpfs)
    out.emplace(tmpfs.target, Tmpfs{.size = tmpfs.size, .mode = tmpfs.mode});
  return out;
}

}  // namespace orlop::config
