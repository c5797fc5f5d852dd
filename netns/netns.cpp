#include "netns/netns.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "base/sys.hpp"
#include "netns/link.hpp"
#include "netns/sysctls.hpp"

namespace orlop::netns {
namespace {

Result<UniqueFd> current() {
  return sys::open("/proc/thread-self/ns/net", O_RDONLY);
}

Result<void> set_loopback_up() {
  alignas(nlmsghdr) std::array<std::byte, link_message_size> buffer{};
  return send_link_message(*put_link_up(buffer, loopback_index, 1));
}

}  // namespace

Result<Entered> Entered::enter(BorrowedFd netns) {
  Result<UniqueFd> home = current();
  if (!home) return fail(std::move(home), "cannot enter a network namespace");
  if (Result<void> entered = sys::setns(netns, CLONE_NEWNET); !entered)
    return fail(std::move(entered), "cannot enter a network namespace");
  return Entered(std::move(*home));
}

Result<Entered> Entered::enter_new() {
  Result<UniqueFd> home = current();
  if (!home) return fail(std::move(home), "cannot make a network namespace");
  if (::unshare(CLONE_NEWNET) != 0) return fail_errno(errno, "unshare", "cannot make a network namespace");
  return Entered(std::move(*home));
}

Entered::~Entered() {
  if (home_ && !sys::setns(home_, CLONE_NEWNET)) {
    static constexpr char message[] = "orlop: cannot leave a network namespace\n";
    (void)!::write(STDERR_FILENO, message, sizeof message - 1);
    std::abort();
  }
}

Result<UniqueFd> make() {
  Result<Entered> inside = Entered::enter_new();
  if (!inside) return pass(std::move(inside));
  if (Result<void> up = set_loopback_up(); !up) return fail(std::move(up), "cannot bring loopback up");
  if (Result<void> set = set_sysctls(default_sysctls()); !set) return pass(std::move(set));
  return current();
}

Result<UniqueFd> Pool::take() {
  if (ready_.empty()) return make();
  UniqueFd netns = std::move(ready_.back());
  ready_.pop_back();
  return netns;
}

Result<bool> Pool::refill_one() {
  if (ready_.size() < size_) {
    Result<UniqueFd> netns = make();
    if (!netns) return pass(std::move(netns));
    ready_.push_back(std::move(*netns));
  }
  return ready_.size() < size_;
}

}  // namespace orlop::netns
