// What the kernel gives, by trying: in children and on detached mounts that vanish with their descriptors.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "cli/doctor/finding.hpp"
#include "image/mount.hpp"
#include "sandbox/plan.hpp"

namespace orlop::cli::doctor {
namespace {

constexpr const char* mkfs = "/usr/bin/mkfs.erofs";  // where image/worker/seal.cpp starts it

Finding kernel_version() {
  utsname name{};
  (void)::uname(&name);  // fails for a wrong pointer only
  Finding finding{.what = "kernel", .found = name.release};
  int major = 0;
  int minor = 0;
  if (std::sscanf(name.release, "%d.%d", &major, &minor) == 2 && std::pair(major, minor) >= std::pair(6, 1))
    return finding;
  finding.grade = Grade::missing;
  finding.consequence = "orlop needs Linux 6.1 or newer";
  return finding;
}

// A user namespace that maps the first ids of a container's range, for an idmapped mount. It lives in a child that ends
// when `release` is closed.
struct Userns {
  UniqueFd fd;
  int errno_value = 0;  ///< of unshare(2), when there is no fd
};

Result<Userns> try_userns() {
  Result<sys::Pipe> told = sys::pipe();
  if (!told) return pass(std::move(told));
  Result<sys::Pipe> release = sys::pipe();
  if (!release) return pass(std::move(release));
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork", "cannot try user namespaces");
  if (child == 0) {
    release->write.reset();
    const int failed = ::unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
    char byte = 0;
    if (::write(told->write.get(), &failed, sizeof failed) == sizeof failed)
      (void)!::read(release->read.get(), &byte, 1);
    ::_exit(0);
  }
  Userns userns;
  told->write.reset();
  const bool answered = ::read(told->read.get(), &userns.errno_value, sizeof userns.errno_value) ==
                        static_cast<ssize_t>(sizeof userns.errno_value);
  if (answered && userns.errno_value == 0) {
    const auto map = [child](const char* file) -> Result<void> {
      Result<UniqueFd> fd = sys::open(fmt::format("/proc/{}/{}", child, file), O_WRONLY);
      return fd ? write_all(*fd, "0 524288 65536\n") : pass(std::move(fd));
    };
    Result<UniqueFd> ns = sys::open(fmt::format("/proc/{}/ns/user", child), O_RDONLY);
    if (ns && map("uid_map") && map("gid_map")) userns.fd = std::move(*ns);
  }
  release->write.reset();
  (void)::waitpid(child, nullptr, 0);  // it ends at the closed pipe
  return userns;
}

Finding user_namespaces(const Result<Userns>& userns) {
  if (userns && userns->errno_value == 0) return {.what = "user namespaces", .found = "allowed"};
  return {.what = "user namespaces",
          .grade = Grade::missing,
          .found = userns ? errno_text(userns->errno_value) : sentence(userns.error()),
          .consequence = "no container starts: each has a user namespace of its own",
          .remedy = "raise user.max_user_namespaces, and look for a security module that forbids them"};
}

// The directory itself, or the nearest above it that is there.
Result<UniqueFd> open_nearest(std::string path) {
  for (;;) {
    Result<UniqueFd> directory = sys::open(path, O_PATH | O_DIRECTORY);
    if (directory || path.size() <= 1) return directory;
    path.resize(std::max<std::size_t>(path.rfind('/'), 1));
  }
}

Finding idmapped_volumes(const Userns& userns, const std::string& state_directory) {
  Finding finding{.what = "idmapped volumes", .found = "the file system of " + state_directory + " has them"};
  Result<UniqueFd> directory = open_nearest(state_directory);
  Result<UniqueFd> mount = directory ? sys::clone_mount(*directory, "", false) : pass(std::move(directory));
  const Result<void> mapped =
      mount ? sys::set_mount_attributes(*mount, MOUNT_ATTR_IDMAP, 0, false, userns.fd.get()) : pass(std::move(mount));
  if (mapped) return finding;
  return {.what = finding.what,
          .grade = Grade::missing,
          .found = sentence(mapped.error()),
          .consequence = "containers with volumes in " + state_directory + " do not start",
          .remedy = "keep it on ext4, XFS, Btrfs, or on tmpfs from Linux 6.3 on"};
}

struct TemporaryDirectory {
  std::string path = "/tmp/orlop-doctor.XXXXXX";
  bool made = ::mkdtemp(path.data()) != nullptr;
  TemporaryDirectory() = default;
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    const Result<UniqueFd> parent = sys::open("/tmp", O_RDONLY | O_DIRECTORY);
    if (made && parent) (void)remove_tree(*parent, path.substr(5));  // what stays in /tmp harms nobody
  }
};

Result<UniqueFd> make_sealed(const TemporaryDirectory& directory) {
  if (!directory.made) return fail(ErrorKind::kernel, "cannot make a directory in /tmp");
  const std::string file = directory.path + "/sealed";
  const std::string tree = directory.path + "/tree";
  if (::mkdir(tree.c_str(), 0700) != 0) return fail_errno(errno, "mkdir", "cannot make a directory in /tmp");
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork", "cannot start mkfs.erofs");
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR);
    (void)::dup2(null, 1);
    (void)::dup2(null, 2);
    ::execl(mkfs, mkfs, file.c_str(), tree.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  (void)::waitpid(child, &status, 0);
  if (status != 0) return fail(ErrorKind::kernel, "mkfs.erofs failed");
  return sys::open(file, O_RDONLY);
}

Finding sealed_images() {
  const TemporaryDirectory directory;
  Result<UniqueFd> file = make_sealed(directory);
  if (file && image::mount_file(*file)) return {.what = "sealed images", .found = "EROFS, mounted from the file"};
  const Result<UniqueFd> mount = file ? image::mount_by_loop(*file) : std::unexpected(file.error());
  if (mount) return {.what = "sealed images", .found = "EROFS, mounted by a loop device (from the file: Linux 6.12)"};
  return {.what = "sealed images",
          .grade = Grade::missing,
          .found = sentence(mount.error()),
          .consequence = "no container starts: its root is an EROFS file",
          .remedy = "a kernel with EROFS, and /dev/loop-control with free loop devices"};
}

Finding sealing() {
  if (::access(mkfs, X_OK) == 0) return {.what = "mkfs.erofs", .found = mkfs};
  return {.what = "mkfs.erofs",
          .grade = Grade::missing,
          .found = fmt::format("{}: {}", mkfs, errno_text(errno)),
          .consequence = "no image can be imported",
          .remedy = "install erofs-utils"};
}

Finding seccomp() {
  for (std::uint32_t action : {SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS})
    if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
      return {.what = "seccomp",
              .grade = Grade::missing,
              .found = errno_text(errno),
              .consequence = "no container starts: every one has a filter of system calls"};
  return {.what = "seccomp", .found = "filters of system calls"};
}

Finding landlock(int abi) {
  Finding finding{.what = "Landlock", .found = abi > 0 ? fmt::format("ABI {}", abi) : "none"};
  if (abi >= 5) return finding;
  finding.grade = Grade::weaker;
  if (abi == 0) {
    finding.consequence = "mounts and file modes alone hold a container's files together";
    finding.remedy = "boot with landlock in the list lsm=";
  } else {
    finding.consequence = abi < 3 ? "truncation (ABI 3) and ioctls of devices (ABI 5) are left to mounts and file modes"
                                  : "ioctls of devices (ABI 5) are left to mounts and file modes";
  }
  return finding;
}

Finding memfd_noexec(bool there) {
  if (there) return {.what = "memfd without exec", .found = "vm.memfd_noexec"};
  return {.what = "memfd without exec",
          .grade = Grade::weaker,
          .found = "no vm.memfd_noexec (Linux 6.3)",
          .consequence = "a container can execute from memory what no file of its image holds"};
}

Finding tmpfs() {
  const std::array<sys::FsOption, 2> options = {{{"size", "4096"}, {"nr_inodes", "4"}}};
  const Result<UniqueFd> mount = sys::new_mount("tmpfs", options, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
  if (mount) return {.what = "tmpfs", .found = "with limits of size and inodes"};
  return {.what = "tmpfs",
          .grade = Grade::missing,
          .found = sentence(mount.error()),
          .consequence = "no container starts: /dev, /tmp and /run are tmpfs"};
}

}  // namespace

void look_at_kernel(Findings& findings, const std::string& state_directory) {
  const sandbox::KernelFeatures kernel = sandbox::probe_kernel();
  findings.push_back(kernel_version());
  findings.push_back(seccomp());
  findings.push_back(landlock(kernel.landlock_abi));
  findings.push_back(memfd_noexec(kernel.memfd_noexec));
  findings.push_back(sealing());
  if (::geteuid() != 0) {
    findings.push_back({.what = "root",
                        .grade = Grade::weaker,
                        .found = fmt::format("uid {}", ::geteuid()),
                        .consequence = "user namespaces, mounts and capabilities were not tried",
                        .remedy = "run orlop doctor as root"});
    return;
  }
  const Result<Userns> userns = try_userns();
  findings.push_back(user_namespaces(userns));
  if (userns && userns->fd) findings.push_back(idmapped_volumes(*userns, state_directory));
  findings.push_back(tmpfs());
  if (::access(mkfs, X_OK) == 0) findings.push_back(sealed_images());
}

}  // namespace orlop::cli::doctor
