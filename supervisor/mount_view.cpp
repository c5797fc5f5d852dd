#include "supervisor/mount_view.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/message.hpp"
#include "base/sys.hpp"
#include "sandbox/dev.hpp"

namespace orlop::supervisor {
namespace {

// A path of the host answers in microseconds; one on a dead network file system does not, and the loop cannot wait for
// it.
constexpr int host_path_timeout_ms = 2000;

constexpr std::uint64_t quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

Result<void> make_folder(BorrowedFd root, const char* name) {
  if (::mkdirat(root.get(), name, 0755) != 0 || ::fchmodat(root.get(), name, 0755, 0) != 0)  // whatever our umask
    return fail_errno(errno, "mkdirat", fmt::format("cannot make '{}'", name));
  return {};
}

// The host's directory `path` at `name` below `root`.
Result<void> bind(BorrowedFd root, const std::string& path, const char* name, std::uint64_t attributes) {
  Result<UniqueFd> mount = sys::clone_mount(BorrowedFd(AT_FDCWD), path.c_str(), false);
  if (!mount) return fail(std::move(mount), fmt::format("cannot bind '{}'", path));
  if (attributes != 0)
    if (Result<void> set = sys::set_mount_attributes(*mount, attributes, 0, false); !set) return set;
  return sys::attach_mount(*mount, root, name);
}

// The programs that containers and workers are given, by their places in the view. They are bound afresh by each
// orlopd: after an upgrade it drives the worker that came with it.
struct ProgramPlace {
  const char* program;
  const char* place;
};
constexpr ProgramPlace program_places[] = {{"orlop-image", "template/worker/orlop-image"},
                                           {"orlop-reaper", "template/reaper"}};

Result<UniqueFd> clone_program(const std::string& programs, const ProgramPlace& program) {
  const std::string path = fmt::format("{}/{}", programs, program.program);
  Result<UniqueFd> mount = sys::clone_mount(BorrowedFd(AT_FDCWD), path.c_str(), false);
  if (!mount) return fail(std::move(mount), fmt::format("cannot find '{}'", path));
  if (Result<void> set = sys::set_mount_attributes(*mount, quiet | MOUNT_ATTR_RDONLY, 0, false); !set)
    return pass(std::move(set));
  return mount;
}

// What a worker sees: directories for its mounts, the links that Debian's merged /usr has, and its program.
Result<void> fill_worker_root(BorrowedFd root) {
  const std::array<sys::FsOption, 1> mode = {sys::FsOption{"mode", "755"}};
  Result<UniqueFd> worker = sys::new_mount("tmpfs", mode, quiet);
  if (!worker) return pass(std::move(worker));
  for (const char* name : {"usr", "proc", "dev", "tmp", "run", "sys", "in", "out", "etc"})
    if (Result<void> made = make_folder(*worker, name); !made) return made;
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"})
    if (::symlinkat(fmt::format("usr/{}", name).c_str(), worker->get(), name) != 0)
      return fail_errno(errno, "symlinkat", "cannot make the root of workers");
  if (::mknodat(worker->get(), "orlop-image", S_IFREG | 0755, 0) != 0)
    return fail_errno(errno, "mknodat", "cannot make the root of workers");
  if (Result<void> attached = sys::attach_mount(*worker, root, "template/worker"); !attached) return attached;
  if (Result<void> bound = bind(*worker, "/usr", "usr", quiet | MOUNT_ATTR_RDONLY); !bound) return bound;
  return sys::set_mount_attributes(*worker, MOUNT_ATTR_RDONLY, 0, false);
}

Result<void> fill(BorrowedFd root, const Places& places, const std::string& programs) {
  for (const char* name :
       {"proc", "dev", "run", "state", "logs", "images", "devlog", "template", "template/dev", "template/worker"})
    if (Result<void> made = make_folder(root, name); !made) return made;
  Result<UniqueFd> proc = sys::new_mount("proc", {}, quiet | MOUNT_ATTR_NOEXEC);
  if (!proc) return pass(std::move(proc));
  if (Result<void> attached = sys::attach_mount(*proc, root, "proc"); !attached) return attached;
  Result<UniqueFd> dev = sandbox::make_dev();
  if (!dev) return pass(std::move(dev));
  if (Result<void> attached = sys::attach_mount(*dev, root, "template/dev"); !attached) return attached;
  if (Result<void> bound = bind(root, "/dev", "dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC); !bound) return bound;
  if (Result<void> bound = bind(root, places.run, "run", quiet); !bound) return bound;
  if (Result<void> bound = bind(root, places.state, "state", quiet); !bound) return bound;
  if (Result<void> bound = bind(root, places.logs, "logs", quiet); !bound) return bound;
  if (::mknodat(root.get(), "template/reaper", S_IFREG | 0555, 0) != 0)
    return fail_errno(errno, "mknodat", "cannot place orlop-reaper");
  if (Result<void> filled = fill_worker_root(root); !filled) return filled;
  for (const ProgramPlace& program : program_places) {
    Result<UniqueFd> mount = clone_program(programs, program);
    if (!mount) return pass(std::move(mount));
    if (Result<void> attached = sys::attach_mount(*mount, root, program.place); !attached) return attached;
  }
  return {};
}

Result<UniqueFd> open_namespace() {
  return sys::open("/proc/self/ns/mnt", O_RDONLY);
}

void close_all_but(int first, int second, int third) noexcept {
  int kept[] = {first, second, third};
  for (int i = 0; i < 2; ++i)
    for (int j = i + 1; j < 3; ++j)
      if (kept[j] < kept[i]) std::swap(kept[i], kept[j]);
  unsigned next = 3;
  for (const int fd : kept) {
    if (fd < 3) continue;
    if (static_cast<unsigned>(fd) > next) (void)::syscall(SYS_close_range, next, static_cast<unsigned>(fd) - 1, 0);
    next = static_cast<unsigned>(fd) + 1;
  }
  (void)::syscall(SYS_close_range, next, ~0U, 0);
}

// What the child of clone_host_mount does: system calls only, since it was forked from a process with two threads.
[[noreturn]] void open_in_host(int host_namespace, const char* path, int at, int socket) noexcept {
  // A path that never answers must not hold the instance's lock, a gate or the guardian's socket, nor outlive orlopd.
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_all_but(host_namespace, at, socket);
  int error = 0;
  int tree = -1;
  ::open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  if (::setns(host_namespace, CLONE_NEWNS) != 0) error = errno;
  int place = at;
  if (error == 0 && *path != '\0') {
    place = static_cast<int>(::syscall(SYS_openat2, at >= 0 ? at : AT_FDCWD, path, &how, sizeof how));
    if (place < 0) error = errno;
  }
  if (error == 0) {
    tree = ::open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0) error = errno;
  }
  iovec part{&error, sizeof error};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (tree >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof tree);
    std::memcpy(CMSG_DATA(rights), &tree, sizeof tree);
  }
  ::_exit(::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof error ? 0 : 1);
}

}  // namespace

Result<MountView> MountView::make(const Places& places, const std::string& programs) {
  const std::string doing = "cannot make orlopd's mount namespace";
  MountView view;
  Result<UniqueFd> host = open_namespace();
  if (!host) return fail(std::move(host), doing);
  view.host_ = std::move(*host);
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno(errno, "unshare", doing);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail_errno(errno, "mount(MS_PRIVATE)", doing);
  const std::array<sys::FsOption, 1> mode = {sys::FsOption{"mode", "700"}};
  Result<UniqueFd> root = sys::new_mount("tmpfs", mode, quiet);
  if (!root) return fail(std::move(root), doing);
  view.root_ = std::move(*root);
  // Attached over the old root, not entered: absolute paths still lead to the host's files until pivot_root.
  if (::fchdir(view.root_.get()) != 0) return fail_errno(errno, "fchdir", doing);
  if (Result<void> attached = sys::attach_mount(view.root_, BorrowedFd(AT_FDCWD), "/"); !attached)
    return fail(std::move(attached), doing);
  if (Result<void> filled = fill(view.root_, places, programs); !filled) return fail(std::move(filled), doing);
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_errno(errno, "pivot_root", doing);
  if (::umount2("/..", MNT_DETACH) != 0) return fail_errno(errno, "umount2", doing);
  if (::chdir("/") != 0) return fail_errno(errno, "chdir", doing);
  Result<UniqueFd> own = open_namespace();
  if (!own) return fail(std::move(own), doing);
  view.own_ = std::move(*own);
  return view;
}

Result<MountView> MountView::enter(UniqueFd kept, const std::string& programs) {
  const std::string doing = "cannot enter the mount namespace of the orlopd before";
  MountView view;
  Result<UniqueFd> host = open_namespace();
  if (!host) return fail(std::move(host), doing);
  view.host_ = std::move(*host);
  std::array<UniqueFd, std::size(program_places)> mounts;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    Result<UniqueFd> mount = clone_program(programs, program_places[i]);
    if (!mount) return fail(std::move(mount), doing);
    mounts[i] = std::move(*mount);
  }
  if (Result<void> entered = sys::setns(kept, CLONE_NEWNS); !entered) return fail(std::move(entered), doing);
  Result<UniqueFd> root = sys::open("/", O_RDONLY | O_DIRECTORY);
  if (!root) return fail(std::move(root), doing);
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const std::string place = fmt::format("/{}", program_places[i].place);
    // EINVAL: nothing is mounted there, because an orlopd died right here.
    if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL)
      return fail_errno(errno, "umount2", doing);
    if (Result<void> attached = sys::attach_mount(mounts[i], *root, program_places[i].place); !attached)
      return fail(std::move(attached), doing);
  }
  view.root_ = std::move(*root);
  view.own_ = std::move(kept);
  return view;
}

Result<UniqueFd> MountView::clone_template(const char* name) const {
  return sys::clone_mount(root_, fmt::format("template/{}", name).c_str(), true);
}

Result<UniqueFd> clone_host_mount(BorrowedFd host_namespace, const std::string& path, int at) {
  const std::string doing =
      path.empty() ? std::string("cannot mount what was passed") : fmt::format("cannot mount '{}' of the host", path);
  Result<std::pair<UniqueFd, UniqueFd>> pair = sys::socketpair(SOCK_SEQPACKET);
  if (!pair) return fail(std::move(pair), doing);
  const pid_t child = ::_Fork();
  if (child == 0) open_in_host(host_namespace.get(), path.c_str(), at, pair->second.get());
  if (child < 0) return fail_errno(errno, "fork", doing);
  pair->second.reset();
  pollfd answer{.fd = pair->first.get(), .events = POLLIN, .revents = 0};
  const int ready = ::poll(&answer, 1, host_path_timeout_ms);
  int error = ETIMEDOUT;
  Result<std::optional<ReceivedMessage>> received = std::optional<ReceivedMessage>{};
  if (ready > 0) received = receive_message(pair->first, std::as_writable_bytes(std::span(&error, 1)));
  (void)::kill(child, SIGKILL);
  // One that hangs in the kernel is left to the guardian, which reaps orphans, when orlopd ends.
  (void)::waitpid(child, nullptr, ready > 0 ? 0 : WNOHANG);
  if (!received) return fail(std::move(received), doing);
  if (*received && error == 0 && (*received)->fds.size() == 1) return std::move((*received)->fds.front());
  return fail_errno(error != 0 ? error : EIO, "open_tree", doing);
}

}  // namespace orlop::supervisor
