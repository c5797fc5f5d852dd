// The sysctls of a private network namespace: what the default profile asks, as data.
#pragma once

#include <span>
#include <string_view>

#include "base/error.hpp"

namespace orlop::netns {

struct Sysctl {
  std::string_view path;  ///< below /proc/sys/net
  std::string_view value;
};

/// Ports below 1024 are free to bind, no ICMP socket, no redirect and no source route in or out, a packet must come in
/// where its answer would go out, loopback addresses are not routed, no IPv6.
/// Source: Documentation/networking/ip-sysctl.rst.
std::span<const Sysctl> default_sysctls();

/// Sets them in the calling thread's network namespace. One below `ipv6/` that a kernel without IPv6 does not have is
/// passed over: there is nothing to turn off.
Result<void> set_sysctls(std::span<const Sysctl> sysctls);

}  // namespace orlop::netns
