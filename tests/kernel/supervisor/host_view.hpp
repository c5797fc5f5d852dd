// What the host sees of an instance: its processes, groups, mounts and descriptors, read from /proc and /sys/fs/cgroup
// by the test itself.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "tests/kernel/supervisor/instance.hpp"

namespace orlop {

/// What a shell command said and how it ended. Its standard error is joined to its output.
struct Said {
  int exit_code = -1;
  std::string output;
};
Said shell(const std::string& command);

/// A small file of /proc or /sys; empty when it is not there.
std::string read_text(const std::string& path);

/// The ids that `/proc/PID/status` has in `field` ("Uid", "Gid"), as written.
std::string proc_status(pid_t pid, const std::string& field);

/// Every process whose ancestors lead to `pid`, without `pid`. Containers are children of the guardian.
std::set<pid_t> descendants(pid_t pid);
bool is_alive(pid_t pid);

std::size_t open_fds(pid_t pid);

/// The directories `c/NAME.START` of the instance in all hierarchies.
std::set<std::string> leaves(const Instance& instance);
/// The pids in all of the instance's leaves.
std::set<pid_t> contained(const Instance& instance);

/// Lines of mountinfo of orlopd's own mount namespace.
std::size_t mounts_of(pid_t pid);

/// Waits until `condition` holds; ends the test after `timeout`.
void await_that(const std::function<bool()>& condition, const std::string& what,
                Duration timeout = std::chrono::seconds(20));

}  // namespace orlop
