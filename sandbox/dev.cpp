#include "sandbox/dev.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/sys.hpp"

namespace orlop::sandbox {
namespace {

struct Node {
  const char* name;
  unsigned major;
  unsigned minor;
};
constexpr std::array<Node, 6> nodes = {Node{"null", 1, 3}, {"zero", 1, 5},    {"full", 1, 7},
                                       {"random", 1, 8},   {"urandom", 1, 9}, {"tty", 5, 0}};

struct Link {
  const char* name;
  const char* target;
};
constexpr std::array<Link, 5> links = {Link{"fd", "/proc/self/fd"},
                                       {"stdin", "/proc/self/fd/0"},
                                       {"stdout", "/proc/self/fd/1"},
                                       {"stderr", "/proc/self/fd/2"},
                                       {"ptmx", "pts/ptmx"}};

}  // namespace

Result<UniqueFd> make_dev() {
  const std::array<sys::FsOption, 3> options = {sys::FsOption{"size", "65536"}, {"nr_inodes", "64"}, {"mode", "755"}};
  Result<UniqueFd> mount = sys::new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  if (!mount) return fail(std::move(mount), "cannot make /dev");
  const int directory = mount->get();
  for (const Node& node : nodes)
    if (::mknodat(directory, node.name, S_IFCHR | 0666, ::makedev(node.major, node.minor)) != 0 ||
        ::fchmodat(directory, node.name, 0666, 0) != 0)
      return fail_errno(errno, "mknodat", fmt::format("cannot make /dev/{}", node.name));
  for (const Link& link : links)
    if (::symlinkat(link.target, directory, link.name) != 0)
      return fail_errno(errno, "symlinkat", fmt::format("cannot make /dev/{}", link.name));
  for (const char* name : {"pts", "shm"})
    if (::mkdirat(directory, name, 0755) != 0 || ::fchmodat(directory, name, 0755, 0) != 0)  // whatever our umask
      return fail_errno(errno, "mkdirat", fmt::format("cannot make /dev/{}", name));
  if (::mknodat(directory, "log", S_IFREG | 0444, 0) != 0) return fail_errno(errno, "mknodat", "cannot make /dev/log");
  if (Result<void> sealed = sys::set_mount_attributes(*mount, MOUNT_ATTR_RDONLY, 0, false); !sealed)
    return pass(std::move(sealed));
  return mount;
}

}  // namespace orlop::sandbox
