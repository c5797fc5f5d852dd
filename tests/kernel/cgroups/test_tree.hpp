// A Tree below a parent group of the test's own, real processes in its leaves, and waiting for what the kernel reports.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "cgroups/tree.hpp"

namespace orlop::cgroups {

/// Waits until `watch` is ready. false: `within` has passed.
bool ready(const Watch& watch, Duration within = std::chrono::seconds(20));
/// Waits until the events of `group` are as asked.
bool await_populated(const Group& group, bool populated, Duration within = std::chrono::seconds(20));
bool await_frozen(const Group& group, Duration within = std::chrono::seconds(20));

/// A process in the leaf of `group` from its first instruction, as the supervisor starts one. Killed and reaped at the
/// latest with this object.
class Task {
 public:
  /// `body` runs in the child; what it returns is the exit status.
  Task(const Group& group, const std::function<int()>& body);
  Task(const Task&) = delete;
  ~Task();
  /// The exit status, or 128 and the signal that ended it.
  int wait();
  [[nodiscard]] bool ended() const;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  bool reaped_ = false;
};

/// A group of the test's own in every hierarchy in use, and a Tree below it. Everything is gone with this object.
class TestTree {
 public:
  TestTree();
  TestTree(const TestTree&) = delete;
  ~TestTree();

  /// A Tree over the same subtree, as a successor makes it.
  [[nodiscard]] Tree again() const;
  [[nodiscard]] const Hierarchies& hierarchies() const { return hierarchies_; }
  [[nodiscard]] const Tree::Options& options() const { return options_; }
  /// Where the groups lie, without and with the place of `controller`.
  [[nodiscard]] std::string directory_of(Controller controller) const;
  [[nodiscard]] std::string unified_directory() const;
  /// The content of `file` of a leaf's group.
  [[nodiscard]] std::string read(Controller controller, const Leaf& leaf, const std::string& file) const;
  /// Every group below the test's parent, in every hierarchy, as "MOUNT_POINT: PATH".
  [[nodiscard]] std::vector<std::string> groups() const;

  Tree& operator*() { return *tree_; }
  Tree* operator->() { return &*tree_; }

 private:
  Hierarchies hierarchies_;
  Tree::Options options_;
  std::optional<Tree> tree_;
};

/// The whole of a file named by path; empty if it cannot be read.
std::string slurp(const std::string& path);
/// Writes `value` into the file named by path.
void spill(const std::string& path, const std::string& value);

}  // namespace orlop::cgroups
