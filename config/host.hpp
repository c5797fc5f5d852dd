// What host.toml says, as plain data with every default filled in. A value of these types that parse() returned is
// valid as a whole; nothing here owns a resource. Each member is one key of the file: schema.cpp joins the two.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/size.hpp"
#include "base/time.hpp"
#include "cgroups/limits.hpp"
#include "config/defaults.hpp"
#include "config/places.hpp"
#include "image/reference.hpp"

namespace orlop::config {

enum class Access : std::uint8_t { read_only, read_write };
enum class Run : std::uint8_t {
  always,   ///< kept running
  on_boot,  ///< started once a boot
  once,     ///< started once, and again only when its section changes
};
enum class RestartPolicy : std::uint8_t { always, on_failure, unless_stopped, no };
enum class WhenFull : std::uint8_t {
  drop,   ///< what exceeds the rate or the disk is dropped and counted
  block,  ///< the container waits
};
/// The words of the file for each enumerator, in the enum's order.
inline std::span<const std::string_view> names(Access) {
  static constexpr std::array<std::string_view, 2> words = {"ro", "rw"};
  return words;
}
inline std::span<const std::string_view> names(Run) {
  static constexpr std::array<std::string_view, 3> words = {"always", "on-boot", "once"};
  return words;
}
inline std::span<const std::string_view> names(RestartPolicy) {
  static constexpr std::array<std::string_view, 4> words = {"always", "on-failure", "unless-stopped", "no"};
  return words;
}
inline std::span<const std::string_view> names(WhenFull) {
  static constexpr std::array<std::string_view, 2> words = {"drop", "block"};
  return words;
}
/// The word of `value`.
template <class Enum>
  requires requires(Enum value) { names(value); }
std::string_view to_string(Enum value) {
  return names(value)[static_cast<std::size_t>(value)];
}

struct Tmpfs {
  Bytes size = defaults::tmpfs_size;
  mode_t mode = defaults::tmpfs_mode;
  std::uint64_t inodes = defaults::tmpfs_inodes;
  bool exec = false;
  Places places = {};  ///< empty: a standard one that the file does not mention
  friend bool operator==(const Tmpfs&, const Tmpfs&) = default;
};
/// The tmpfs that every container has, by target.
std::map<std::string, Tmpfs> standard_tmpfs();

struct VolumeMount {
  std::string volume;  ///< name of a `[volume.NAME]`
  Access mode = Access::read_only;
  bool exec = false;
  Places places = {};
  friend bool operator==(const VolumeMount&, const VolumeMount&) = default;
};

/// A program of the image run inside the container; exit 0 is healthy.
struct Health {
  std::vector<std::string> exec = {};  ///< empty: no check, not even the image's own
  Duration interval = defaults::health_interval;
  Duration timeout = defaults::health_timeout;
  std::uint64_t retries = defaults::health_retries;
  Duration start_period = defaults::health_start_period;
  friend bool operator==(const Health&, const Health&) = default;
};

struct Restart {
  RestartPolicy policy = RestartPolicy::always;
  Duration backoff_min = defaults::restart_backoff_min;
  Duration backoff_max = defaults::restart_backoff_max;
  std::uint64_t limit = defaults::restart_limit;  ///< restarts within `window` after which it has failed; 0: no limit
  Duration window = defaults::restart_window;
  friend bool operator==(const Restart&, const Restart&) = default;
};

struct Stop {
  std::optional<int> signal = {};  ///< unset: the image's, else SIGTERM
  Duration grace = defaults::stop_grace;
  friend bool operator==(const Stop&, const Stop&) = default;
};

struct Log {
  Bytes size = defaults::log_size;  ///< of one file
  std::uint64_t files = defaults::log_files;
  Bytes rate = defaults::log_rate;  ///< bytes a second
  WhenFull full = WhenFull::drop;
  friend bool operator==(const Log&, const Log&) = default;
};

/// One pair of limits of getrlimit(2); RLIM_INFINITY is "unlimited".
struct Rlimit {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

/// What loosens a default: each by name, one at a time.
struct Allow {
  std::uint64_t capabilities = 0;           ///< bit n: capability n, inside the container's own user namespace
  std::optional<Bytes> writable_root = {};  ///< size of a tmpfs over the sealed root
  bool root_user = false;
  bool cgroup_view = false;
  std::map<std::string, std::string> host_paths = {};  ///< inside → on the host; always read-only
  bool best_effort_memory_min = false;                 ///< accept cgroup v1, which cannot keep resources.memory.min
  friend bool operator==(const Allow&, const Allow&) = default;
};

struct Container {
  std::string name = {};
  image::Reference image = {};
  std::optional<std::vector<std::string>> entrypoint = {};  ///< unset: the image's
  std::optional<std::vector<std::string>> command = {};     ///< unset: the image's, unless entrypoint is set
  std::map<std::string, std::string> env = {};              ///< laid over the image's
  std::optional<std::string> workdir = {};                  ///< unset: the image's, else /
  std::optional<std::string> user = {};  ///< `UID:GID`, `UID`, `NAME` or `NAME:GROUP`; unset: the image's
  std::vector<std::string> groups = {};  ///< numbers or names, sorted
  std::optional<std::string> hostname = {};
  bool init = false;
  bool dev_log = false;
  std::string cpus = {};  ///< a cpuset list; empty: all
  Run run = Run::always;
  std::vector<std::string> after = {};         ///< sorted
  std::vector<std::string> requirements = {};  ///< key `requires`; sorted; each comes after too
  cgroups::Limits limits = {};
  std::map<std::string, Rlimit> rlimits = {};  ///< by lower-case name, such as `nofile`
  std::map<std::string, Tmpfs> tmpfs = standard_tmpfs();
  std::map<std::string, VolumeMount> volumes = {};
  std::optional<Health> health = {};  ///< unset: the image's
  Restart restart = {};
  Stop stop = {};
  Log log = {};
  Allow allow = {};
  Places places = {};

  friend bool operator==(const Container&, const Container&) = default;
};

struct Volume {
  Places places = {};
  friend bool operator==(const Volume&, const Volume&) = default;
};

/// What is never promised to containers.
struct Reserve {
  Bytes memory = defaults::reserve_memory;
  std::uint64_t cpu_millis = defaults::reserve_cpu_millis;
  friend bool operator==(const Reserve&, const Reserve&) = default;
};

struct Host {
  std::optional<std::string> name = {};  ///< unset: the machine's own
  std::map<std::string, std::string> labels = {};
  Reserve reserve = {};
  std::map<std::string, Volume> volumes = {};
  std::map<std::string, Container> containers = {};
  Places places = {};

  friend bool operator==(const Host&, const Host&) = default;
};

}  // namespace orlop::config
