// orlop's own subtree of the host's cgroups, and the only place where groups are made:
//
//   PARENT/orlop-<first 12 digits of the SHA-256 of the state directory>/
//     self/            orlop's own processes
//     c/NAME.START/    one start of one container
//
// PARENT is the caller's own group in the cgroup2 tree and the top of each v1 hierarchy (which has no `self`: no rule
// asks orlop's processes to move there), or `--cgroup-parent` in all of them. No other group is touched, with one
// exception on v2: controllers are handed down in PARENT, which was delegated by being named or by being the caller's
// own. The kernel refuses that while anybody else's process is inside, and the Facts then say so.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "cgroups/facts.hpp"
#include "cgroups/group.hpp"
#include "cgroups/hierarchies.hpp"

namespace orlop::cgroups {

class Tree {
 public:
  struct Options {
    std::string state_directory;       ///< absolute; names the subtree
    std::string parent;                ///< `--cgroup-parent`, a path below the mounts; empty: see above
    std::vector<pid_t> own_processes;  ///< orlop's own, moved into `self`: the caller and the guardian
  };

  /// Makes the subtree, or takes over the one that a predecessor made. Nothing of a running container changes.
  /// config/… when `parent` does not exist in every hierarchy in use.
  static Result<Tree> make(const Hierarchies& hierarchies, const Options& options);

  [[nodiscard]] const Facts& facts() const;

  /// Makes the groups of one start with their limits, without a process. On failure nothing is left behind.
  /// conflict/… when this start has groups already; unsupported/… see settings().
  [[nodiscard]] Result<Group> create(const Leaf& leaf, const Limits& limits) const;
  /// The groups of a start that a predecessor made. Its watches tell what comes from now on: ask events() and
  /// oom_reported() once for what came before. not_found/… when they are gone.
  [[nodiscard]] Result<Group> open(const Leaf& leaf) const;
  /// Every start that has groups, sorted; a half-made or half-removed one is listed too.
  [[nodiscard]] Result<std::vector<Leaf>> list() const;
  /// Keeps `sum` of memory for all containers together, on both levels above the leaves: a leaf's memory_min holds only
  /// as far as every level above it keeps as much. Nothing to do on v1.
  Result<void> set_memory_min(Bytes sum) const;
  /// Gives orlop's own processes back to PARENT and removes the subtree. conflict/… while a start is in it, or where
  /// PARENT takes no process.
  Result<void> remove();

 private:
  void leave_self() const;
  explicit Tree(std::shared_ptr<TreeHandles> handles) : handles_(std::move(handles)) {}
  std::shared_ptr<TreeHandles> handles_;
};

}  // namespace orlop::cgroups
