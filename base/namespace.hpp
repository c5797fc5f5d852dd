// A stay of the calling thread in another namespace.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::sys {

/// Puts the calling thread into another namespace for as long as this lives; other threads notice nothing. Of the kinds
/// of namespaces CLONE_NEWNET can be entered, and CLONE_NEWPID, which acts on what the thread clones meanwhile. Failing
/// to come back ends the program: it would go on acting on a container as if it were the host. Source: setns(2).
class WithinNamespace {
 public:
  /// Enters `where`, of the kind `type`.
  static Result<WithinNamespace> enter(BorrowedFd where, int type);
  /// Enters a new one. It is gone with this object unless someone opens it meanwhile.
  static Result<WithinNamespace> enter_new(int type);
  WithinNamespace(WithinNamespace&&) noexcept = default;
  WithinNamespace& operator=(WithinNamespace&&) = delete;
  ~WithinNamespace();

 private:
  WithinNamespace(UniqueFd home, int type) : home_(std::move(home)), type_(type) {}
  UniqueFd home_;
  int type_;
};

/// The calling thread's own namespace of the kind `type`, as it is for what it clones.
Result<UniqueFd> current_namespace(int type);

}  // namespace orlop::sys
