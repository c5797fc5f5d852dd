#include "config/capability.hpp"

#include <fmt/format.h>
#include <sys/capability.h>

#include <algorithm>
#include <array>
#include <memory>

#include "config/diagnostics.hpp"

namespace orlop::config {
namespace {

/// Checked by the kernel against the container's own user namespace, at least in part: they do something inside.
/// All others it asks of the initial user namespace alone. Source: capable() and ns_capable() in the kernel.
constexpr std::array<std::string_view, 20> inside = {
    "CHOWN",     "DAC_OVERRIDE", "DAC_READ_SEARCH",  "FOWNER",        "FSETID",    "KILL",        "SETGID",
    "SETUID",    "SETPCAP",      "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",     "IPC_LOCK",
    "IPC_OWNER", "SYS_CHROOT",   "SYS_PTRACE",       "SYS_NICE",      "SETFCAP",   "SYS_RESOURCE"};

struct CapFree {
  void operator()(char* name) const noexcept { (void)::cap_free(name); }  // cannot fail for what libcap made
};

std::string name_of(unsigned number) {
  const std::unique_ptr<char, CapFree> name(::cap_to_name(static_cast<cap_value_t>(number)));
  std::string upper = name ? std::string(name.get()).substr(4) : fmt::format("{}", number);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return upper;
}

}  // namespace

Result<unsigned> parse_capability(std::string_view written) {
  std::string_view name = written;
  if (name.starts_with("CAP_")) name.remove_prefix(4);
  cap_value_t number = 0;
  const bool spelled = !name.empty() && name.size() < 32 &&
                       std::ranges::all_of(name, [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  if (!spelled || ::cap_from_name(("cap_" + std::string(name)).c_str(), &number) != 0) {
    const std::string_view near = nearest(name, inside);
    return fail(ErrorKind::config, fmt::format("no capability is called {}", excerpt(written)),
                near.empty() ? fmt::format("one of {}", alternatives(inside)) : fmt::format("did you mean {}?", near));
  }
  if (name == "SYS_ADMIN")
    return fail(ErrorKind::config, "capability SYS_ADMIN is refused: it could undo the container's own mounts",
                "name what the program needs it for: a tmpfs, a volume or cgroup_view may serve");
  if (std::ranges::find(inside, name) == inside.end())
    return fail(ErrorKind::config,
                fmt::format("capability {} is refused: it acts on the host only, and would do nothing inside", name),
                "it needs host_users, which is not in this version");
  return static_cast<unsigned>(number);
}

std::vector<std::string> capability_names(std::uint64_t mask) {
  std::vector<std::string> out;
  for (unsigned number = 0; number < 64; ++number)
    if ((mask >> number & 1U) != 0) out.push_back(name_of(number));
  return out;
}

bool needs_own_network(std::uint64_t mask) {
  constexpr std::uint64_t network =
      1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_RAW | 1ULL << CAP_NET_BROADCAST | 1ULL << CAP_NET_BIND_SERVICE;
  return (mask & network) != 0;
}

}  // namespace orlop::config
