#include "netns/netns.hpp"

#include <sched.h>

#include <array>
#include <cstddef>

#include "base/namespace.hpp"
#include "netns/link.hpp"
#include "netns/sysctls.hpp"

namespace orlop::netns {
namespace {

Result<void> set_loopback_up() {
  alignas(nlmsghdr) std::array<std::byte, link_message_size> buffer{};
  return send_link_message(*put_link_up(buffer, loopback_index, 1));
}

}  // namespace

Result<UniqueFd> make() {
  Result<sys::WithinNamespace> inside = sys::WithinNamespace::enter_new(CLONE_NEWNET);
  if (!inside) return fail(std::move(inside), "cannot make a network namespace");
  if (Result<void> up = set_loopback_up(); !up) return fail(std::move(up), "cannot bring loopback up");
  if (Result<void> set = set_sysctls(default_sysctls()); !set) return pass(std::move(set));
  return sys::current_namespace(CLONE_NEWNET);
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
