#include "sandbox/child.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

namespace orlop::sandbox {
namespace {

// uid 0 means nothing at execve, changing ids keeps capability sets as they are, and none of it can be undone.
constexpr unsigned long locked_securebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                            SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                            SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

// 0 for success, else errno: what every function here returns.
int result_of(long returned) noexcept {
  return returned < 0 ? errno : 0;
}

template <class... Arguments>
int call(long number, Arguments... arguments) noexcept {
  return result_of(::syscall(number, arguments...));
}

// The mount target `path`, absolute and so within the new root wherever the working directory is, without following any
// link: whoever can swap a directory for a link on a shared volume, or shipped one in the image, moves no mount.
int open_target(const char* path, int* fd) noexcept {
  ::open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long opened = ::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  *fd = static_cast<int>(opened);
  return result_of(opened);
}

// A new file system on the directory `path`. mount(2) takes a path and follows links in it; standing in the directory
// leaves none to follow.
int mount_new(const char* type, const char* path, unsigned long flags, const char* options) noexcept {
  int target = -1;
  if (const int error = open_target(path, &target); error != 0) return error;
  int error = result_of(::fchdir(target));
  if (error == 0) error = result_of(::mount(type, ".", type, flags, options));
  (void)::close(target);
  if (error == 0) error = result_of(::chdir("/"));
  return error;
}

int attach(int mount, const char* path) noexcept {
  int target = -1;
  if (const int error = open_target(path, &target); error != 0) return error;
  const int error = result_of(::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
  (void)::close(target);
  return error;
}

int close_other_fds(const std::vector<int>& kept) noexcept {
  unsigned first = 3;
  for (const int fd : kept) {
    const auto keep = static_cast<unsigned>(fd);
    if (keep > first)
      if (const int error = call(SYS_close_range, first, keep - 1, 0U); error != 0) return error;
    first = keep + 1;
  }
  return call(SYS_close_range, first, ~0U, 0U);
}

int await_gate(int gate) noexcept {
  char byte = 0;
  ssize_t count = -1;
  do count = ::read(gate, &byte, 1);
  while (count < 0 && errno == EINTR);
  if (count == 0) return EPIPE;
  return result_of(count);
}

int write_text(const char* path, const char* text) noexcept {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return errno;
  const int error = result_of(::write(file, text, std::strlen(text)));
  (void)::close(file);
  return error;
}

int new_session() noexcept {
  if (::setsid() < 0 && errno != EPERM) return errno;  // EPERM: a leader already
  return call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0L);
}

int loopback_up() noexcept {
  const int link = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (link < 0) return errno;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", sizeof "lo");
  request.ifr_flags = IFF_UP;
  const int error = result_of(::ioctl(link, SIOCSIFFLAGS, &request));
  (void)::close(link);
  return error;
}

int attach_root(int root) noexcept {
  if (::fchdir(root) != 0) return errno;
  return result_of(::move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH));
}

// The sealed root is the lower layer, read where it is attached; /tmp and /run of the image are standard mount points
// and serve as places for the upper tmpfs and for the joined root while it is built.
int overlay_root(const char* options) noexcept {
  if (::mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) return errno;
  if (::mkdir("tmp/upper", 0755) != 0 || ::mkdir("tmp/work", 0755) != 0) return errno;
  if (::mount("overlay", "run", "overlay", MS_NOSUID | MS_NODEV,
              "lowerdir=.,upperdir=tmp/upper,workdir=tmp/work,userxattr") != 0)
    return errno;
  return result_of(::chdir("run"));
}

int pivot() noexcept {
  if (const int error = call(SYS_pivot_root, ".", "."); error != 0) return error;
  return result_of(::chdir("/"));
}

// After pivot_root(".", ".") the old root is mounted over the new one: "/.." is where a lookup meets it.
int detach_old_root() noexcept {
  if (::umount2("/..", MNT_DETACH) != 0) return errno;
  return result_of(::chdir("/"));
}

int read_only(const char* path) noexcept {
  if (::mount(path, path, nullptr, MS_BIND, nullptr) != 0) return errno;
  return result_of(
      ::mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
}

int restrict_by_landlock(const Plan& plan) noexcept {
  const ::landlock_ruleset_attr attributes{.handled_access_fs = plan.landlock_handled};
  const auto ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  if (ruleset < 0) return errno;
  for (const LandlockRule& rule : plan.landlock_rules) {
    int place = -1;
    if (const int error = open_target(rule.path, &place); error != 0) return error;
    const ::landlock_path_beneath_attr beneath{.allowed_access = rule.access, .parent_fd = place};
    const int error = call(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
    (void)::close(place);
    if (error != 0) return error;
  }
  const int error = call(SYS_landlock_restrict_self, ruleset, 0);
  (void)::close(ruleset);
  return error;
}

int set_capabilities(std::uint64_t permitted, std::uint64_t inheritable) noexcept {
  ::__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  ::__user_cap_data_struct data[2]{};
  for (unsigned half = 0; half < 2; ++half) {
    data[half].permitted = data[half].effective = static_cast<std::uint32_t>(permitted >> (32 * half));
    data[half].inheritable = static_cast<std::uint32_t>(inheritable >> (32 * half));
  }
  return call(SYS_capset, &header, data);
}

int drop_bounding(std::uint64_t kept) noexcept {
  for (unsigned capability = 0; capability < 64; ++capability) {
    if ((kept >> capability & 1U) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      if (errno == EINVAL) return 0;  // past this kernel's last capability
      return errno;
    }
  }
  return 0;
}

// capset first: a capability must be inheritable before it can be ambient. All of them stay permitted until
// set_capabilities.
int raise_ambient(std::uint64_t capabilities) noexcept {
  ::__user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  ::__user_cap_data_struct data[2]{};
  if (const int error = call(SYS_capget, &header, data); error != 0) return error;
  for (unsigned half = 0; half < 2; ++half)
    data[half].inheritable = static_cast<std::uint32_t>(capabilities >> (32 * half));
  if (const int error = call(SYS_capset, &header, data); error != 0) return error;
  for (unsigned capability = 0; capability < 64; ++capability)
    if ((capabilities >> capability & 1U) != 0 && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
      return errno;
  return 0;
}

int place_stdio(const Resources& resources) noexcept {
  if (::dup2(resources.standard_input.get(), 0) < 0 || ::dup2(resources.standard_output.get(), 1) < 0 ||
      ::dup2(resources.standard_error.get(), 2) < 0)
    return errno;
  int number = 3;
  for (const UniqueFd& fd : resources.inherited)
    if (::dup2(fd.get(), number++) < 0) return errno;
  return 0;
}

int reset_signals() noexcept {
  // The kernel's own structure: mask and action empty, which is SIG_DFL. 32 bytes cover every architecture's form of
  // it.
  const unsigned char none[32]{};
  if (const int error = call(SYS_rt_sigaction, SIGPIPE, none, nullptr, 8); error != 0) return error;
  const std::uint64_t empty = 0;
  return call(SYS_rt_sigprocmask, SIG_SETMASK, &empty, nullptr, 8);
}

int enter_seccomp(const SeccompFilter& filter) noexcept {
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           .filter = const_cast<sock_filter*>(filter.data())};
  return call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &program);
}

// The first candidate that can be executed becomes the payload. ENOENT of one goes on to the next, as execvp(3) does;
// EACCES is remembered, since "not executable" says more than "not found".
int execute(Plan& plan) noexcept {
  int error = ENOENT;
  for (const char* path : plan.candidates) {
    if (plan.resources.reaper) {
      if (::faccessat(AT_FDCWD, path, X_OK, 0) == 0) {
        plan.argv[1] = path;
        return call(SYS_execveat, plan.resources.reaper.get(), "", plan.argv.data(), plan.envp.data(), AT_EMPTY_PATH);
      }
    } else {
      (void)::execve(path, const_cast<char**>(plan.argv.data()), const_cast<char**>(plan.envp.data()));
    }
    if (errno == EACCES) error = EACCES;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return errno;
  }
  return error;
}

int perform(Plan& plan, const Step& step) noexcept {
  switch (step.op) {
    case Op::close_other_fds:
      return close_other_fds(plan.kept_fds);
    case Op::forbid_dump:
      return result_of(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    case Op::await_gate:
      return await_gate(step.fd);
    case Op::forbid_memfd_exec:
      return result_of(::write(step.fd, "2", 1));
    case Op::become_root: {
      const int error = call(SYS_setresgid, 0, 0, 0);
      return error != 0 ? error : call(SYS_setresuid, 0, 0, 0);
    }
    case Op::join_namespaces:
      return result_of(
          ::setns(step.fd, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP));
    case Op::join_cgroup:
      return result_of(::write(step.fd, "0", 1));
    case Op::new_cgroup_ns:
      return result_of(::unshare(CLONE_NEWCGROUP));
    case Op::new_session:
      return new_session();
    case Op::loopback_up:
      return loopback_up();
    case Op::set_hostname:
      return result_of(::sethostname(step.text, std::strlen(step.text)));
    case Op::attach_root:
      return attach_root(step.fd);
    case Op::overlay_root:
      return overlay_root(step.text);
    case Op::pivot:
      return pivot();
    case Op::make_directory:
      return ::mkdir(step.path, 0755) != 0 && errno != EEXIST ? errno : 0;
    case Op::mount_tmpfs:
      return mount_new("tmpfs", step.path, step.a, step.text);
    case Op::mount_proc:
      return mount_new("proc", step.path, MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible");
    case Op::mount_pts:
      return mount_new("devpts", step.path, MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666,max=64");
    case Op::mount_cgroup:
      return mount_new(*step.text == '\0' ? "cgroup2" : "cgroup", step.path,
                       MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, step.text);
    case Op::attach:
      return attach(step.fd, step.path);
    case Op::mask_file:
      return result_of(::mount("/dev/null", step.path, nullptr, MS_BIND, nullptr));
    case Op::mask_directory:
      return mount_new("tmpfs", step.path, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                       "size=4k,nr_inodes=1,mode=755");
    case Op::read_only:
      return read_only(step.path);
    case Op::write_file:
      return write_text(step.path, step.text);
    case Op::detach_old_root:
      return detach_old_root();
    case Op::landlock:
      return restrict_by_landlock(plan);
    case Op::set_rlimit: {
      const rlimit limit{.rlim_cur = step.b, .rlim_max = step.c};
      return result_of(::setrlimit(static_cast<__rlimit_resource>(step.a), &limit));
    }
    case Op::set_umask:
      (void)::umask(static_cast<mode_t>(step.a));
      return 0;
    case Op::set_groups:
      return call(SYS_setgroups, plan.groups.size(), plan.groups.data());
    case Op::no_new_privs:
      return result_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    case Op::drop_bounding:
      return drop_bounding(step.a);
    case Op::raise_ambient:
      return raise_ambient(step.a);
    case Op::lock_securebits:
      return result_of(::prctl(PR_SET_SECUREBITS, locked_securebits, 0, 0, 0));
    case Op::become_user: {
      const int error = call(SYS_setresgid, step.b, step.b, step.b);
      return error != 0 ? error : call(SYS_setresuid, step.a, step.a, step.a);
    }
    case Op::set_capabilities:
      return set_capabilities(step.a, step.a);
    case Op::die_with_parent:
      return result_of(::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
    case Op::change_directory:
      return result_of(::chdir(step.path));
    case Op::place_stdio:
      return place_stdio(plan.resources);
    case Op::reset_signals:
      return reset_signals();
    case Op::seccomp:
      return enter_seccomp(*plan.resources.filter);
    case Op::execute:
      return execute(plan);
  }
  return ENOSYS;
}

}  // namespace

void walk(Plan& plan) noexcept {
  for (std::uint32_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    if (const int error = perform(plan, step); error != 0) {
      const StepFailure failure{i, static_cast<std::uint32_t>(step.op), error};
      (void)!::write(plan.report.write.get(), &failure,
                     sizeof failure);  // whoever would read it may be dead: the exit tells too
      break;
    }
  }
  ::_exit(exit_not_started);
}

}  // namespace orlop::sandbox
