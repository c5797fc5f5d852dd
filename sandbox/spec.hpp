// What one contained process is: plain data, comparable and printable, without file descriptors. Two front doors make
// it (config/, later oci/); all validation has ended before. The Plan turns it into descriptors and numbers.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/size.hpp"

namespace orlop::sandbox {

/// A tmpfs of the container's own, new at every start: nosuid, nodev and, unless `executable`, noexec. Owned by the
/// container's user and group.
struct Tmpfs {
  std::string target;  ///< absolute, normalised
  Bytes size;          ///< a multiple of the page size is not needed: the kernel rounds up
  std::uint64_t inodes = 4096;
  mode_t mode = 0755;
  bool executable = false;

  friend bool operator==(const Tmpfs&, const Tmpfs&) = default;
};

/// A directory or file of the host seen inside: a volume, or a path that a loosening names.
struct Bind {
  enum class Kind : std::uint8_t {
    volume,     ///< `source` is a volume's name; idmapped from the volume's range to the container's
    host_path,  ///< `source` is a path of the host; always read-only, not idmapped
  };
  std::string target;  ///< absolute, normalised; must exist in the image
  Kind kind = Kind::volume;
  std::string source;
  bool writable = false;
  bool executable = false;

  friend bool operator==(const Bind&, const Bind&) = default;
};

/// One resource limit by its RLIMIT_* number (getrlimit(2)).
struct Rlimit {
  int resource = 0;
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;

  friend bool operator==(const Rlimit&, const Rlimit&) = default;
};

struct Spec {
  std::string name;  ///< of the container or worker, for messages
  std::string hostname;
  std::vector<std::string> argv;  ///< argv[0] is the program: absolute, or searched in PATH of `env` inside the root
  std::vector<std::string> env;   ///< `NAME=value`, complete: nothing of orlop's own environment is added
  std::string workdir = "/";
  uid_t uid = 0;              ///< inside
  gid_t gid = 0;              ///< inside
  std::vector<gid_t> groups;  ///< supplementary, exactly these
  std::vector<Tmpfs> tmpfs;   ///< in the order of mounting
  std::vector<Bind> binds;
  std::vector<Rlimit> rlimits;         ///< complete: all sixteen
  std::uint64_t capabilities = 0;      ///< bit n: capability n, in all five sets; of the container's own user namespace
  std::optional<Bytes> writable_root;  ///< the root is a tmpfs of this size over the sealed one (overlay)
  bool init = false;                   ///< a tiny reaper is PID 1 and argv its child
  bool cgroup_view = false;            ///< /sys/fs/cgroup shows the container's own group, read-only
  bool dev_log = false;                ///< /dev/log goes to the container's log
  bool own_network = false;  ///< a network namespace of its own user namespace (a NET_ capability was asked for)
  mode_t umask = 0022;

  friend bool operator==(const Spec&, const Spec&) = default;
};

}  // namespace orlop::sandbox
