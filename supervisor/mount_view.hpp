// orlopd's own small mount namespace. Copying a mount table is most of what CLONE_NEWNS costs, so orlopd stands in one
// that holds little; and mounts can only be cloned from the namespace one stands in, so everything that containers get
// (sealed images, volumes, /dev) is attached here first. A successor of a killed orlopd enters the same one.
//
//   /proc /dev      for orlopd itself
//   /run /state /logs   the instance's places
//   /images/DIGEST  sealed images, attached once
//   /devlog/START   the socket behind a container's /dev/log
//   /template/dev   what every container's /dev is a clone of
//   /template/reaper  the program that `init = true` puts before the payload
//   /template/worker  the root of orlop's own jailed workers: the host's /usr, read-only, and their program
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/places.hpp"

namespace orlop::supervisor {

class MountView {
 public:
  /// Makes the namespace, with the calling process in it and its places bound. Single-threaded callers only (setns(2)).
  /// `programs`: the directory that holds orlop-image.
  static Result<MountView> make(const Places& places, const std::string& programs);
  /// Enters the one that a predecessor made, and binds the programs of `programs` in the place of its.
  static Result<MountView> enter(UniqueFd kept, const std::string& programs);

  /// The namespace, for the guardian's store.
  [[nodiscard]] BorrowedFd own() const { return own_; }
  /// The namespace that orlopd was started in: the host's, for paths of the host.
  [[nodiscard]] BorrowedFd host() const { return host_; }
  [[nodiscard]] BorrowedFd root() const { return root_; }
  /// A clone of the template at `name` ("dev", "worker").
  [[nodiscard]] Result<UniqueFd> clone_template(const char* name) const;

 private:
  MountView() = default;
  UniqueFd own_;
  UniqueFd host_;
  UniqueFd root_;
};

/// A detached clone of the mount at `path` of the host, resolved by a short-lived child inside the host's mount
/// namespace: no path of the host is ever resolved in orlopd's own. With `at` the path is relative to that descriptor
/// of the host's (an empty path: the descriptor itself).
Result<UniqueFd> clone_host_mount(BorrowedFd host_namespace, const std::string& path, int at = -1);

}  // namespace orlop::supervisor
