// The groups of one start of a container: a leaf in the cgroup2 tree and one in each v1 hierarchy in use.
//
// A leaf is made before the first process and never used for a second start: on kernels seen, a group that was killed
// once kills every later process that is cloned into it. The supervisor keeps two descriptors a container, the ones it
// waits on; everything else is opened when it is used, by one name below a directory that the Tree keeps open and in
// which only orlop makes names, so no name can come to mean another group.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/size.hpp"
#include "base/time.hpp"
#include "cgroups/facts.hpp"
#include "cgroups/limits.hpp"

namespace orlop::cgroups {

struct TreeHandles;

/// One start of one container; written `NAME.START`.
struct Leaf {
  std::string name;         ///< see is_valid_name
  std::uint64_t start = 0;  ///< the number of the start, never used twice by an instance

  friend auto operator<=>(const Leaf&, const Leaf&) = default;
};
std::string to_string(const Leaf& leaf);

struct Usage {
  Bytes memory;
  Bytes memory_peak;
  Duration cpu_time{};
  std::uint64_t pids = 0;
  std::uint64_t pids_refused = 0;  ///< forks that failed at pids_max
  std::uint64_t oom_kills = 0;     ///< processes killed for want of memory

  friend bool operator==(const Usage&, const Usage&) = default;
};

/// A descriptor to wait on with epoll, and for what. The Group owns the descriptor.
struct Watch {
  BorrowedFd fd;
  std::uint32_t epoll_events;
};

class Group {
 public:
  [[nodiscard]] const Leaf& leaf() const { return leaf_; }

  // --- placing the first process ---

  /// The cgroup2 leaf for CLONE_INTO_CGROUP (clone3(2)), opened for this launch.
  [[nodiscard]] Result<UniqueFd> cgroup2_fd() const;
  struct V1Leaf {
    std::string controllers;  ///< all of its hierarchy, "cpu,cpuacct"
    UniqueFd procs;           ///< its `cgroup.procs`, opened for writing
  };
  /// The v1 leaves of this start: the new process writes "0" into the `procs` of each before anything else. The right
  /// to move is that of who opened it, so this also works from inside a new user namespace. Empty on v2.
  [[nodiscard]] Result<std::vector<V1Leaf>> v1_leaves() const;

  // --- while it runs ---

  /// Changes the weight among siblings, 1 to 10,000: see weights().
  Result<void> set_cpu_weight(std::uint64_t weight) const;
  [[nodiscard]] Result<Usage> usage() const;
  /// Asks every process to stop running, or to go on. Reached when events() says so. A frozen group can be killed.
  Result<void> freeze() const;
  Result<void> thaw() const;
  /// Kills every process with SIGKILL, also those being forked meanwhile. Returns at once; done when events() says
  /// unpopulated. Source: cgroup-v2.rst, cgroup.kill.
  Result<void> kill() const;

  // --- what happened ---

  struct Events {
    bool populated = false;  ///< a process is inside
    bool frozen = false;
    friend bool operator==(const Events&, const Events&) = default;
  };
  /// Ready when events() may say something new.
  [[nodiscard]] Watch events_watch() const;
  /// The state now; rearms events_watch().
  [[nodiscard]] Result<Events> events() const;

  /// Ready when oom_reported() may be true.
  [[nodiscard]] Watch oom_watch() const;
  /// Whether the kernel ran out of memory for this group since this was last asked; what happened before this Group was
  /// opened counts. Rearms oom_watch(). On v2 the kernel has then killed the whole group; on v1 only one process of it:
  /// call kill().
  Result<bool> oom_reported();

  // --- inside ---

  /// A new cgroup2 group inside this one, for a program that must not outlive its moment (a health check): start it
  /// there, and kill_group() ends it with all that it started. The limits are this group's. What earlier calls made is
  /// ended first.
  Result<UniqueFd> make_inner() const;
  /// Kills all that make_inner() made room for, and removes what is empty already.
  Result<void> end_inner() const;

  // --- end ---

  /// Removes every leaf of this start. false: a process is still inside; wait for events_watch() and call again.
  /// Calling it again after true does nothing.
  Result<bool> remove() const;

 private:
  friend class Tree;
  Group(std::shared_ptr<const TreeHandles> tree, Leaf leaf) : tree_(std::move(tree)), leaf_(std::move(leaf)) {}
  Result<void> make(const Limits& limits);
  Result<void> watch();

  std::shared_ptr<const TreeHandles> tree_;
  Leaf leaf_;
  UniqueFd events_;
  UniqueFd oom_;
  std::uint64_t oom_kills_seen_ = 0;
};

/// Kills every process of a cgroup2 group, given as its directory; they end some time later.
Result<void> kill_group(BorrowedFd group);

}  // namespace orlop::cgroups
