// A contained process of a test's own: busybox in a read-only root made here, launched by the real Plan and launch.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "sandbox/dev.hpp"
#include "sandbox/launch.hpp"
#include "sandbox/plan.hpp"
#include "tests/need.hpp"

namespace orlop::sandbox {

inline constexpr std::uint32_t test_first_id = 1'000'013'824;  // inside the range for containers, high up

/// Copies the host's file `from` to `to` in the mount, to be executed.
inline void copy_program(BorrowedFd mount, const std::string& from, const std::string& to) {
  const std::string bytes = need(read_all(need(sys::open(from, O_RDONLY)), 8U << 20));
  const UniqueFd file = need(sys::open_beneath(mount, to, O_WRONLY | O_CREAT, 0755));
  need(write_all(file, bytes));
  need(::fchmod(file.get(), 0755) >= 0);
}

/// A detached root with busybox and the standard mount points, and as /bin/program the static program `program` of the
/// host if one is named. The ids of its files are root's: not idmapped.
inline UniqueFd busybox_root(const std::string& program = {}) {
  const std::array<sys::FsOption, 1> options = {sys::FsOption{"mode", "755"}};
  UniqueFd mount = need(sys::new_mount("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  for (const char* name : {"bin", "etc", "proc", "dev", "tmp", "run", "sys", "data", "closed"})
    need(::mkdirat(mount.get(), name, 0755) >= 0);
  need(::fchmodat(mount.get(), "closed", 0700, 0) >= 0);
  copy_program(mount, "/bin/busybox", "bin/busybox");
  if (!program.empty()) copy_program(mount, program, "bin/program");
  for (const char* applet : {"sh",   "cat",   "id",    "ls",      "mount",  "umount",   "touch", "sleep",  "hostname",
                             "grep", "mkdir", "chmod", "unshare", "echo",   "ps",       "stat",  "ulimit", "env",
                             "cp",   "wc",    "dd",    "mknod",   "chroot", "readlink", "true",  "kill"})
    need(::symlinkat("busybox", mount.get(), ("bin/" + std::string(applet)).c_str()) >= 0);
  need(::symlinkat("/etc", mount.get(), "link") >= 0);
  need(sys::set_mount_attributes(mount, MOUNT_ATTR_RDONLY, 0, false));
  return mount;
}

inline Spec busybox(std::string script) {
  Spec spec;
  spec.name = "test";
  spec.hostname = "test";
  spec.argv = {"/bin/sh", "-c", std::move(script)};
  spec.env = {"PATH=/bin"};
  spec.uid = 1000;
  spec.gid = 1000;
  spec.tmpfs = {{"/dev/shm", 64_MiB, 4096, 01777}, {"/run", 16_MiB, 4096, 0755}, {"/tmp", 16_MiB, 4096, 01777}};
  return spec;
}

struct Finished {
  std::optional<StepFailure> failure;
  Error explained;
  int status = 0;  ///< of waitpid(2)
  std::string output;
};

/// Launches, opens the gate, waits for the end and returns what it wrote.
inline Finished run(const Spec& spec, Resources resources = {}) {
  const sys::Pipe output = need(sys::pipe());
  resources.first_id = test_first_id;
  if (!resources.root) resources.root = busybox_root();
  if (!resources.dev) resources.dev = need(make_dev());
  if (!resources.standard_input) resources.standard_input = need(sys::open("/dev/null", O_RDONLY));
  need(::fchown(output.write.get(), test_first_id + spec.uid, test_first_id + spec.gid) >= 0);
  resources.standard_output = need(sys::duplicate(output.write));
  resources.standard_error = need(sys::duplicate(output.write));
  if (!resources.filter)
    resources.filter = std::make_shared<const SeccompFilter>(need(compile_filter(spec.capabilities)));
  std::unique_ptr<Plan> plan = need(make_plan(spec, std::move(resources), probe_kernel()));
  Launched child = need(launch(*plan, Parentage::of_caller));
  (void)release(child.gate);
  Finished finished;
  finished.failure = need(read_report(child.report));
  if (finished.failure) finished.explained = explain(*finished.failure, plan.get());
  plan.reset();
  const_cast<UniqueFd&>(output.write).reset();
  finished.output = need(read_all(output.read, 1U << 20));
  need(::waitpid(child.pid, &finished.status, 0) >= 0);
  return finished;
}

}  // namespace orlop::sandbox
