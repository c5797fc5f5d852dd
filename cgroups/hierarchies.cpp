#include "cgroups/hierarchies.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ranges>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::cgroups {
namespace {

constexpr std::size_t max_proc_file = std::size_t{4} << 20;  // a host with thousands of mounts has about 1 MiB

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (const auto part : std::views::split(text, separator)) parts.emplace_back(part.begin(), part.end());
  return parts;
}

// mountinfo writes space, tab, newline and backslash as \ooo (proc_pid_mountinfo(5)).
std::string unescape(std::string_view written) {
  std::string text;
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] == '\\' && i + 3 < written.size() && std::ranges::all_of(written.substr(i + 1, 3), octal)) {
      text += static_cast<char>((written[i + 1] - '0') * 64 + (written[i + 2] - '0') * 8 + (written[i + 3] - '0'));
      i += 3;
    } else {
      text += written[i];
    }
  }
  return text;
}

struct Mount {
  std::string root;  // the group that is seen at the mount point
  std::string mount_point;
  std::string_view type;
  std::string_view options;
};

std::optional<Mount> parse_mount(std::string_view line) {
  const std::vector<std::string_view> fields = split(line, ' ');
  const auto dash = std::ranges::find(fields, std::string_view("-"));
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return std::nullopt;
  return Mount{.root = unescape(fields[3]), .mount_point = unescape(fields[4]), .type = dash[1], .options = dash[3]};
}

// `group` as seen below a mount that shows `root` at its top; nothing: not seen there.
std::optional<std::string> below(std::string_view group, std::string_view root) {
  if (group.starts_with("/..")) return std::nullopt;  // outside the cgroup namespace of the reader
  if (root == "/") return std::string(group.substr(1));
  if (group == root) return std::string();
  if (group.starts_with(root) && group[root.size()] == '/') return std::string(group.substr(root.size() + 1));
  return std::nullopt;
}

std::vector<Controller> controllers_in(std::string_view options) {
  std::vector<Controller> found;
  for (const std::string_view option : split(options, ','))
    for (const Controller controller : all_controllers)
      if (option == to_string(controller)) found.push_back(controller);
  return found;
}

// The controllers of the v1 hierarchy of `one`, as its line `ID:CONTROLLERS:PATH` lists them (cgroups(7)).
std::string hierarchy_of(Controller one, std::string_view cgroup) {
  for (const std::string_view line : split(cgroup, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 3) continue;
    const std::vector<std::string_view> names = split(fields[1], ',');
    if (std::ranges::find(names, to_string(one)) != names.end()) return std::string(fields[1]);
  }
  return std::string(to_string(one));
}

// The path of line `0::PATH`: the caller's group in the cgroup2 tree (cgroups(7)).
std::optional<std::string_view> unified_group(std::string_view cgroup) {
  for (const std::string_view line : split(cgroup, '\n'))
    if (line.starts_with("0::/")) return line.substr(3);
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Controller controller) {
  static constexpr std::array<std::string_view, 4> names = {"cpu", "memory", "pids", "cpuset"};
  return names.at(static_cast<std::size_t>(controller));
}

std::string_view to_string(Kind kind) {
  static constexpr std::array<std::string_view, 3> names = {"unified", "hybrid", "v1"};
  return names.at(static_cast<std::size_t>(kind));
}

Result<Hierarchies> parse_hierarchies(std::string_view mountinfo, std::string_view cgroup) {
  const std::optional<std::string_view> own = unified_group(cgroup);
  if (!own)
    return fail(ErrorKind::unsupported, "this kernel has no cgroup2: /proc/self/cgroup has no line '0::'",
                "orlop needs a kernel with CONFIG_CGROUPS and /proc mounted");
  Hierarchies found;
  std::vector<Controller> seen;
  bool cgroup2_mounted = false;
  std::optional<Unified> unified;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::optional<Mount> mount = parse_mount(line);
    if (!mount) continue;
    if (mount->type == "cgroup2") {
      cgroup2_mounted = true;
      const std::optional<std::string> group = below(*own, mount->root);
      if (group && !unified) unified = Unified{.mount_point = mount->mount_point, .own_group = *group};
    } else if (mount->type == "cgroup") {
      const std::vector<Controller> controllers = controllers_in(mount->options);
      const bool known =
          std::ranges::any_of(controllers, [&](Controller c) { return std::ranges::find(seen, c) != seen.end(); });
      if (controllers.empty() || known) continue;  // a second mount shows the same hierarchy again
      seen.insert(seen.end(), controllers.begin(), controllers.end());
      found.v1.push_back({.mount_point = mount->mount_point,
                          .controllers = controllers,
                          .all = hierarchy_of(controllers.front(), cgroup)});
    }
  }
  if (cgroup2_mounted && !unified)
    return fail(ErrorKind::unsupported, "orlop's own cgroup '" + std::string(*own) + "' is below no cgroup2 mount",
                "mount cgroup2 inside the cgroup namespace that orlop runs in");
  // With cgroup2 mounted nowhere orlop mounts it, and the reader's namespace is then the mount's.
  found.unified = unified.value_or(Unified{.mount_point = {}, .own_group = below(*own, "/").value_or("")});
  if (!cgroup2_mounted)
    found.kind = Kind::v1;
  else
    found.kind = found.v1.empty() ? Kind::unified : Kind::hybrid;
  return found;
}

Result<Hierarchies> discover() {
  const auto read = [](const char* path) -> Result<std::string> {
    Result<UniqueFd> file = sys::open(path, O_RDONLY);
    if (!file) return pass(std::move(file));
    return read_all(*file, max_proc_file);
  };
  Result<std::string> mountinfo = read("/proc/thread-self/mountinfo");
  if (!mountinfo) return fail(std::move(mountinfo), "cannot find the cgroups of this host");
  Result<std::string> cgroup = read("/proc/thread-self/cgroup");
  if (!cgroup) return fail(std::move(cgroup), "cannot find the cgroups of this host");
  return parse_hierarchies(*mountinfo, *cgroup);
}

}  // namespace orlop::cgroups
