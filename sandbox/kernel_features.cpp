#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "sandbox/plan.hpp"

namespace orlop::sandbox {
namespace {

// What a container has no use for: kernel addresses, the host's command line, its hardware and its keys. Everything
// under /proc/sys that is not its own it cannot write anyway; read-only holds for a root user inside as well.
constexpr std::array masked = std::to_array<const char*>(
    {"/proc/acpi",        "/proc/asound",        "/proc/cmdline",  "/proc/config.gz",     "/proc/driver",
     "/proc/interrupts",  "/proc/iomem",         "/proc/ioports",  "/proc/kallsyms",      "/proc/kcore",
     "/proc/key-users",   "/proc/keys",          "/proc/kmsg",     "/proc/kpagecgroup",   "/proc/kpagecount",
     "/proc/kpageflags",  "/proc/latency_stats", "/proc/modules",  "/proc/pagetypeinfo",  "/proc/sched_debug",
     "/proc/scsi",        "/proc/slabinfo",      "/proc/softirqs", "/proc/sysrq-trigger", "/proc/timer_list",
     "/proc/timer_stats", "/proc/vmallocinfo"});
constexpr std::array read_only = std::to_array<const char*>({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"});

}  // namespace

KernelFeatures probe_kernel() {
  KernelFeatures kernel;
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U /* LANDLOCK_CREATE_RULESET_VERSION */);
  kernel.landlock_abi = abi > 0 ? static_cast<int>(abi) : 0;
  kernel.memfd_noexec = ::access("/proc/sys/vm/memfd_noexec", F_OK) == 0;
  struct stat status{};
  for (const char* path : masked)
    if (::stat(path, &status) == 0)
      (S_ISDIR(status.st_mode) ? kernel.masked_directories : kernel.masked_files).emplace_back(path);
  for (const char* path : read_only)
    if (::stat(path, &status) == 0) kernel.read_only_paths.emplace_back(path);
  return kernel;
}

}  // namespace orlop::sandbox
