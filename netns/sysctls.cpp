#include "netns/sysctls.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::netns {
namespace {

// `default` is what a link that comes later begins with; `all` acts on those that are there.
constexpr std::array<Sysctl, 18> defaults = {{
    {"ipv4/ip_unprivileged_port_start", "0"},
    {"ipv4/ping_group_range", "1 0"},
    {"ipv4/conf/all/rp_filter", "1"},
    {"ipv4/conf/default/rp_filter", "1"},
    {"ipv4/conf/all/accept_redirects", "0"},
    {"ipv4/conf/default/accept_redirects", "0"},
    {"ipv4/conf/all/send_redirects", "0"},
    {"ipv4/conf/default/send_redirects", "0"},
    {"ipv4/conf/all/accept_source_route", "0"},
    {"ipv4/conf/default/accept_source_route", "0"},
    {"ipv4/conf/all/route_localnet", "0"},
    {"ipv4/conf/default/route_localnet", "0"},
    {"ipv6/conf/all/accept_ra", "0"},
    {"ipv6/conf/default/accept_ra", "0"},
    {"ipv6/conf/all/accept_redirects", "0"},
    {"ipv6/conf/default/accept_redirects", "0"},
    {"ipv6/conf/all/disable_ipv6", "1"},
    {"ipv6/conf/default/disable_ipv6", "1"},
}};

}  // namespace

std::span<const Sysctl> default_sysctls() {
  return defaults;
}

Result<void> set_sysctls(std::span<const Sysctl> sysctls) {
  // Opened anew each time: what this directory holds depends on the namespace of whoever opens it.
  Result<UniqueFd> net = sys::open("/proc/sys/net", O_PATH | O_DIRECTORY);
  if (!net) return fail(std::move(net), "cannot set the sysctls of a network namespace");
  for (const Sysctl& sysctl : sysctls) {
    Result<UniqueFd> file = sys::open_beneath(*net, std::string(sysctl.path), O_WRONLY);
    if (!file && file.error().errno_value == ENOENT && sysctl.path.starts_with("ipv6/")) continue;
    if (!file) return fail(std::move(file), "cannot set the sysctls of a network namespace");
    if (Result<void> written = write_all(*file, sysctl.value); !written)
      return fail(std::move(written), fmt::format("cannot set {} to '{}'", sysctl.path, sysctl.value));
  }
  return {};
}

}  // namespace orlop::netns
