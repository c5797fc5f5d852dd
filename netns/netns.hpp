// Private network namespaces with loopback up and nothing else.
//
// They belong to the caller's user namespace, not to a container's: a process that is put inside can use the sockets
// but configure nothing (no raw socket, no sysctl, no setns). A container that may configure its network gets one of
// its own by clone3 instead, and none from here.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::netns {

/// A new namespace with loopback up and the sysctls of sysctls.hpp. The calling thread is inside it meanwhile and back
/// afterwards; other threads notice nothing. About half a millisecond: see Pool.
Result<UniqueFd> make();

/// Namespaces made ahead, so that a start does not wait for one. None is ever given twice.
class Pool {
 public:
  explicit Pool(std::size_t size) : size_(size) {}
  /// One from the pool; made now if the pool is empty.
  Result<UniqueFd> take();
  /// Adds one if fewer than `size` are there. true: more are wanted. For the caller's idle callback.
  Result<bool> refill_one();
  [[nodiscard]] std::size_t ready() const { return ready_.size(); }

 private:
  std::size_t size_;
  std::vector<UniqueFd> ready_;
};

}  // namespace orlop::netns
