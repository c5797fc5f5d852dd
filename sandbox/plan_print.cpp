#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>

#include <array>

#include "sandbox/plan.hpp"

namespace orlop::sandbox {
namespace {

constexpr std::array op_names = std::to_array<std::string_view>(
    {"close other fds",  "forbid dump",          "await gate",        "forbid memfd exec",
     "become root",      "join namespaces",      "join cgroup",       "new cgroup namespace",
     "new session",      "loopback up",          "set hostname",      "attach root",
     "overlay root",     "pivot root",           "make directory",    "mount tmpfs",
     "mount proc",       "mount devpts",         "mount cgroup",      "attach mount",
     "mask file",        "mask directory",       "make read-only",    "write",
     "detach old root",  "restrict by landlock", "set rlimit",        "set umask",
     "set groups",       "no new privs",         "drop bounding set", "raise ambient set",
     "lock securebits",  "become user",          "set capabilities",  "die with parent",
     "change directory", "place stdio",          "reset signals",     "enter seccomp",
     "execute"});
static_assert(op_names.size() == static_cast<std::size_t>(Op::execute) + 1);

std::string mount_flags(std::uint64_t flags) {
  std::string words;
  for (const auto& [bit, word] : {std::pair{MS_RDONLY, "ro"}, std::pair{MS_NOSUID, "nosuid"},
                                  std::pair{MS_NODEV, "nodev"}, std::pair{MS_NOEXEC, "noexec"}})
    if ((flags & bit) != 0) words += (words.empty() ? "" : ",") + std::string(word);
  return words;
}

std::string landlock_text(const Plan& plan) {
  std::string text = fmt::format("handled={:#x}", plan.landlock_handled);
  for (const LandlockRule& rule : plan.landlock_rules) text += fmt::format(" {}={:#x}", rule.path, rule.access);
  return text;
}

std::string what_follows(const Plan& plan, const Step& step) {
  switch (step.op) {
    case Op::mount_tmpfs:
      return fmt::format("{} {} {}", step.path, step.text, mount_flags(step.a));
    case Op::mount_cgroup:
      return fmt::format("{} {}", step.path, *step.text == '\0' ? "v2" : step.text);
    case Op::write_file:
      return fmt::format("{} to {}", step.text, step.path);
    case Op::landlock:
      return landlock_text(plan);
    case Op::set_rlimit:
      return fmt::format("{} {}:{}", step.a, step.b, step.c);
    case Op::set_umask:
      return fmt::format("{:04o}", step.a);
    case Op::set_groups:
      return fmt::format("[{}]", fmt::join(plan.groups, ", "));
    case Op::drop_bounding:
      return fmt::format("all but {:#x}", step.a);
    case Op::raise_ambient:
    case Op::set_capabilities:
      return fmt::format("{:#x}", step.a);
    case Op::become_user:
      return fmt::format("{}:{}", step.a, step.b);
    case Op::seccomp:
      return fmt::format("{} instructions", plan.resources.filter ? plan.resources.filter->size() : 0);
    case Op::execute:
      return fmt::format("{}", fmt::join(plan.candidates, " or "));
    default:
      break;
  }
  if (step.path != nullptr) return step.path;
  if (step.text != nullptr) return step.text;
  return {};
}

}  // namespace

std::string_view to_string(Op op) {
  return op_names.at(static_cast<std::size_t>(op));
}

std::string print(const Plan& plan, const Step& step) {
  const std::string rest = what_follows(plan, step);
  return rest.empty() ? std::string(to_string(step.op)) : fmt::format("{} {}", to_string(step.op), rest);
}

std::string print(const Plan& plan) {
  const Resources& resources = plan.resources;
  if (resources.joined) {
    std::string lines =
        fmt::format("clone3 into the container's pid namespace{}\n", resources.cgroup ? ", into its cgroup" : "");
    for (const Step& step : plan.steps) lines += print(plan, step) + "\n";
    return lines;
  }
  std::string lines = fmt::format("clone3 user,pid,mount,ipc,uts{} namespaces{}{}, ids {}+65536\n",
                                  (plan.clone_flags & CLONE_NEWNET) != 0 ? ",net" : "",
                                  resources.network ? ", born in a pooled network namespace" : "",
                                  resources.cgroup ? ", into its cgroup" : "", plan.first_id);
  for (const Step& step : plan.steps) lines += print(plan, step) + "\n";
  return lines;
}

}  // namespace orlop::sandbox
