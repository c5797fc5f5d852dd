// What the host gives: cgroups, capabilities, limits, programs, and how hard its own settings are.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "cgroups/hierarchies.hpp"
#include "cli/doctor/finding.hpp"

namespace orlop::cli::doctor {
namespace {

std::optional<std::string> content(const std::string& path) {
  const Result<UniqueFd> file = sys::open(path, O_RDONLY);
  if (!file) return std::nullopt;
  const Result<std::string> text = read_all(*file, 65536);
  return text ? std::optional(*text) : std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view text, int base = 10) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end != text.data() ? std::optional(value) : std::nullopt;
}

// --- cgroups ---

std::string_view consequence_of(cgroups::Controller controller) {
  switch (controller) {
    case cgroups::Controller::cpu:
      return "CPU weight and maximum cannot be set";
    case cgroups::Controller::memory:
      return "memory cannot be limited";
    case cgroups::Controller::pids:
      return "processes cannot be limited";
    case cgroups::Controller::cpuset:
      return "a container with `cpus` does not start";
  }
  return {};
}

Finding controller_finding(const cgroups::Hierarchies& hierarchies, const std::string& in_v2,
                           cgroups::Controller controller) {
  Finding finding{.what = fmt::format("cgroup {}", cgroups::to_string(controller))};
  const std::string word = fmt::format(" {} ", cgroups::to_string(controller));
  if (in_v2.find(word) != std::string::npos) {
    finding.found = "v2";
    return finding;
  }
  for (const cgroups::V1Hierarchy& v1 : hierarchies.v1)
    if (std::ranges::find(v1.controllers, controller) != v1.controllers.end()) {
      finding.found = "v1, " + v1.mount_point;
      if (controller == cgroups::Controller::memory) {
        finding.grade = Grade::weaker;
        finding.consequence = "memory minimums are not kept; a host file with one needs allow.best_effort_memory_min";
        finding.remedy = "boot with cgroup v2 alone";
      }
      return finding;
    }
  finding.grade = controller == cgroups::Controller::cpuset ? Grade::weaker : Grade::missing;
  finding.found = "in no hierarchy that orlop can use";
  finding.consequence = consequence_of(controller);
  finding.remedy = "enable it: in the kernel, and in cgroup.subtree_control of the groups above";
  return finding;
}

void look_at_cgroups(Findings& findings) {
  const Result<cgroups::Hierarchies> hierarchies = cgroups::discover();
  if (!hierarchies) {
    findings.push_back({.what = "cgroups",
                        .grade = Grade::missing,
                        .found = sentence(hierarchies.error()),
                        .consequence = "no container starts: each has groups of its own",
                        .remedy = hierarchies.error().remedy});
    return;
  }
  findings.push_back({.what = "cgroups", .found = std::string(cgroups::to_string(hierarchies->kind))});
  const cgroups::Unified& unified = hierarchies->unified;
  std::string in_v2;
  if (!unified.mount_point.empty())
    in_v2 = content(unified.mount_point + "/" + unified.own_group + "/cgroup.controllers").value_or("");
  std::ranges::replace(in_v2, '\n', ' ');
  for (const cgroups::Controller controller : cgroups::all_controllers)
    findings.push_back(controller_finding(*hierarchies, " " + in_v2 + " ", controller));
}

// --- this process and its neighbours ---

struct Capability {
  unsigned number;
  const char* name;
};
constexpr std::array needed = {Capability{CAP_CHOWN, "CHOWN"},          Capability{CAP_DAC_OVERRIDE, "DAC_OVERRIDE"},
                               Capability{CAP_FOWNER, "FOWNER"},        Capability{CAP_KILL, "KILL"},
                               Capability{CAP_SETGID, "SETGID"},        Capability{CAP_SETUID, "SETUID"},
                               Capability{CAP_SETPCAP, "SETPCAP"},      Capability{CAP_SYS_ADMIN, "SYS_ADMIN"},
                               Capability{CAP_SYS_PTRACE, "SYS_PTRACE"}};

Finding capabilities() {
  const std::string status = content("/proc/self/status").value_or("");
  constexpr std::string_view key = "CapEff:\t";
  const std::size_t at = status.find(key);
  const std::uint64_t effective =
      at == std::string::npos ? 0 : number(std::string_view(status).substr(at + key.size()), 16).value_or(0);
  std::vector<const char*> lacking;
  for (const Capability& capability : needed)
    if ((effective >> capability.number & 1U) == 0) lacking.push_back(capability.name);
  if (lacking.empty() && (effective >> CAP_SYS_RESOURCE & 1U) == 0)
    return {.what = "capabilities",
            .grade = Grade::weaker,
            .found = "all that orlop needs, but SYS_RESOURCE",
            .consequence = "resource limits of containers cannot exceed those that orlop was started with"};
  if (lacking.empty()) return {.what = "capabilities", .found = "all that orlop needs"};
  return {.what = "capabilities",
          .grade = Grade::missing,
          .found = fmt::format("without {}", fmt::join(lacking, ", ")),
          .consequence = "orlop started from here cannot contain what it starts",
          .remedy = "start orlop as root of the host, not in a container"};
}

Finding open_files() {
  rlimit limit{};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);  // fails for a wrong pointer only
  Finding finding{.what = "open files", .found = fmt::format("{} at most", limit.rlim_max)};
  if (limit.rlim_max >= 65536) return finding;
  finding.grade = Grade::weaker;
  finding.consequence = "containers get no more than that, and fewer of them fit beside each other";
  finding.remedy = "raise RLIMIT_NOFILE of what starts orlop-init to 65536";
  return finding;
}

Finding programs() {
  std::array<char, 4096> own{};
  const ssize_t length = ::readlink("/proc/self/exe", own.data(), own.size());
  const std::string_view path(own.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  const std::string folder(path.substr(0, path.rfind('/') + 1));
  std::vector<const char*> lacking;
  for (const char* program : {"orlop-init", "orlopd", "orlop-image", "orlop-reaper"})
    if (::access((folder + program).c_str(), X_OK) != 0) lacking.push_back(program);
  if (lacking.empty()) return {.what = "programs", .found = "all in " + folder};
  return {.what = "programs",
          .grade = Grade::missing,
          .found = fmt::format("{} does not hold {}", folder, fmt::join(lacking, ", ")),
          .consequence = "orlop does not run: each program finds the others beside itself",
          .remedy = "install all of orlop into one folder"};
}

Finding readers() {
  if (::getgrnam("orlop") != nullptr) return {.what = "group orlop", .found = "its members may read"};
  return {.what = "group orlop",
          .grade = Grade::weaker,
          .found = "not there",
          .consequence = "nobody but root sees status and logs",
          .remedy = "groupadd --system orlop, and restart orlop"};
}

// --- the host's own settings ---

struct Setting {
  const char* name;  ///< of sysctl(8)
  std::uint64_t least;
  std::uint64_t most;
  const char* consequence;
};
// Each makes an escape, or what follows one, harder. One that this kernel lacks is not spoken of.
constexpr std::uint64_t any = UINT64_MAX;
constexpr std::array settings = {
    Setting{"kernel.unprivileged_bpf_disabled", 1, any, "users without privilege can load BPF programs"},
    Setting{"kernel.kptr_restrict", 1, any, "kernel addresses can be read"},
    Setting{"kernel.dmesg_restrict", 1, any, "everyone reads the kernel's log"},
    Setting{"kernel.io_uring_disabled", 1, any, "everyone on the host has io_uring; containers do not"},
    Setting{"kernel.kexec_load_disabled", 1, any, "root can replace the running kernel"},
    Setting{"kernel.yama.ptrace_scope", 1, any, "a process can trace any other of its user"},
    Setting{"fs.protected_symlinks", 1, any, "links in shared folders can mislead others"},
    Setting{"fs.protected_hardlinks", 1, any, "links in shared folders can mislead others"},
    Setting{"fs.protected_fifos", 1, any, "files in shared folders can mislead others"},
    Setting{"fs.protected_regular", 1, any, "files in shared folders can mislead others"},
    Setting{"fs.suid_dumpable", 0, 0, "programs that change their user leave core files"}};

void look_at_settings(Findings& findings) {
  for (const Setting& setting : settings) {
    std::string path = setting.name;
    std::ranges::replace(path, '.', '/');
    const std::optional<std::string> text = content("/proc/sys/" + path);
    const std::optional<std::uint64_t> value = text ? number(*text) : std::nullopt;
    if (!value) continue;
    Finding finding{.what = setting.name, .found = fmt::to_string(*value)};
    if (*value < setting.least || *value > setting.most) {
      finding.grade = Grade::weaker;
      finding.consequence = setting.consequence;
      finding.remedy = fmt::format("sysctl -w {}={}", setting.name, setting.least);
    }
    findings.push_back(std::move(finding));
  }
}

}  // namespace

void look_at_host(Findings& findings) {
  look_at_cgroups(findings);
  if (::geteuid() == 0) findings.push_back(capabilities());
  findings.push_back(open_files());
  findings.push_back(programs());
  findings.push_back(readers());
  look_at_settings(findings);
}

}  // namespace orlop::cli::doctor
