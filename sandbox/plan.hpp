// Everything a start needs, resolved before anything of the container exists: descriptors, numbers, strings and the
// steps that the child will walk. Making a Plan may fail, allocate and take time; walking it does neither.
//
// A Plan prints itself, one line a step. The child does exactly what the print says, in that order.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/sys.hpp"
#include "sandbox/seccomp.hpp"
#include "sandbox/spec.hpp"

namespace orlop::sandbox {

/// What the child can be told to do. Each is one system call, or the few that open, use and close one object.
enum class Op : std::uint8_t {
  close_other_fds,    ///< close_range over the gaps of `kept_fds`
  forbid_dump,        ///< PR_SET_DUMPABLE 0: nobody attaches before the child is confined
  await_gate,         ///< one byte of fd; end of file means that orlopd died
  forbid_memfd_exec,  ///< write 2 to fd (vm.memfd_noexec), of the new pid namespace
  become_root,        ///< setresgid 0, setresuid 0 of the new user namespace
  join_namespaces,    ///< setns of fd (a pidfd) into all namespaces of a running container but its pid namespace
  join_cgroup,        ///< write "0" to fd (a v1 cgroup.procs)
  new_cgroup_ns,      ///< unshare(CLONE_NEWCGROUP), now that the group is the right one
  new_session,        ///< setsid, and a session keyring of its own
  loopback_up,        ///< in a network namespace of its own
  set_hostname,       ///< text
  attach_root,        ///< enter fd and move_mount it over `/` of the new mount namespace
  overlay_root,       ///< a tmpfs with the options of text becomes the writable layer over it; entered
  pivot,              ///< pivot_root(".", "."): the old root lies on top until detach_old_root
  make_directory,     ///< mkdir path, inside a tmpfs that is new
  mount_tmpfs,        ///< path, text = options, a = MS_* flags
  mount_proc,         ///< path
  mount_pts,          ///< path
  mount_cgroup,       ///< path, text = v1 controllers or empty for v2
  attach,             ///< move_mount fd at path
  mask_file,          ///< /dev/null over path
  mask_directory,     ///< an empty read-only tmpfs over path
  read_only,          ///< path becomes a read-only bind of itself
  write_file,         ///< text into path
  detach_old_root,    ///< umount2(MNT_DETACH) of the host's view
  landlock,           ///< the rules of `landlock` become the child's
  set_rlimit,         ///< a = resource, b = soft, c = hard
  set_umask,          ///< a
  set_groups,         ///< `groups`
  no_new_privs,       ///< PR_SET_NO_NEW_PRIVS
  drop_bounding,      ///< PR_CAPBSET_DROP of each capability that is not in a
  raise_ambient,      ///< a: into the inheritable and ambient sets, so that execve keeps them
  lock_securebits,    ///< NOROOT, NO_SETUID_FIXUP, NO_CAP_AMBIENT_RAISE, locked
  become_user,        ///< setresgid b, setresuid a
  set_capabilities,   ///< capset to a
  die_with_parent,    ///< PR_SET_PDEATHSIG SIGKILL: the guardian's death ends the container
  change_directory,   ///< path, as the user
  place_stdio,        ///< dup2 of `stdio` to 0, 1, 2 and of `inherited` to 3 and up; the rest close on exec
  reset_signals,      ///< SIGPIPE to its default, an empty mask: execve resets the rest
  seccomp,            ///< the filter
  execute,            ///< the first of `candidates` that can be executed
};

/// The op's name, as printed and reported.
std::string_view to_string(Op op);

struct Step {
  Op op = Op::execute;
  int fd = -1;
  const char* path = nullptr;
  const char* text = nullptr;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t c = 0;
};

struct LandlockRule {
  const char* path = nullptr;
  std::uint64_t access = 0;  ///< LANDLOCK_ACCESS_FS_*
};

/// What this kernel gives, found by trying once.
struct KernelFeatures {
  int landlock_abi = 0;                              ///< 0: none
  bool memfd_noexec = false;                         ///< vm.memfd_noexec, since 6.3
  std::vector<std::string> masked_files = {};        ///< of those to mask, the ones this kernel's proc has
  std::vector<std::string> masked_directories = {};  ///< likewise
  std::vector<std::string> read_only_paths = {};     ///< likewise
};
/// Looks at this kernel.
KernelFeatures probe_kernel();

/// A detached mount and where it goes.
struct MountAt {
  std::string target;
  UniqueFd mount;
};

/// The container's group in one v1 hierarchy.
struct V1Cgroup {
  std::string controllers;  ///< all of the hierarchy, as mount(2) takes them: "cpu,cpuacct"
  UniqueFd procs;           ///< cgroup.procs, opened for writing
};

/// Descriptors that others made for this start. The Plan owns them from then on.
struct Resources {
  std::uint32_t first_id = 0;        ///< host id of inside 0; 65,536 follow
  UniqueFd root;                     ///< detached, read-only, idmapped where its owner can
  UniqueFd dev;                      ///< detached clone of the /dev template
  UniqueFd dev_log;                  ///< detached mount of the socket for /dev/log, with `dev_log`
  std::vector<MountAt> mounts;       ///< volumes and host paths, one for each Bind of the Spec, in its order
  UniqueFd cgroup;                   ///< cgroup2 leaf for CLONE_INTO_CGROUP; none on pure v1
  std::vector<V1Cgroup> v1_cgroups;  ///< none on v2
  UniqueFd memfd_noexec;     ///< /proc/sys/vm/memfd_noexec for writing, where the kernel has it; make_plan opens it
  UniqueFd joined;           ///< pidfd of the container's first process, for a join
  UniqueFd network;          ///< nsfs fd to be born in; none with `own_network`
  UniqueFd standard_input;   ///< /dev/null
  UniqueFd standard_output;  ///< write end of the log pipe, owned by the container's user
  UniqueFd standard_error;
  std::vector<UniqueFd> inherited;  ///< become 3, 4, … of the payload: for orlop's own workers only
  UniqueFd reaper;                  ///< the reaper's program, with `init`
  std::shared_ptr<const SeccompFilter> filter;
};

struct Plan {
  std::string name;
  std::uint32_t first_id = 0;
  std::uint64_t clone_flags = 0;
  Resources resources;
  std::vector<Step> steps;
  sys::Pipe gate;             ///< one byte lets the child go on; end of file ends it
  sys::Pipe report;           ///< a StepFailure, or end of file at execve
  std::vector<int> kept_fds;  ///< sorted: all that the child may hold
  std::vector<LandlockRule> landlock_rules;
  std::uint64_t landlock_handled = 0;
  std::vector<gid_t> groups;
  std::vector<const char*> candidates;  ///< paths to try for argv[0], in the order of PATH
  std::vector<const char*> argv;    ///< null at the end; with a reaper its own name and a place for the candidate first
  std::vector<const char*> envp;    ///< null at the end
  std::deque<std::string> strings;  ///< what the pointers above point into; a deque never moves its elements
};

/// Resolves `spec` with these descriptors into a Plan. limit/… when argv and env exceed 128 KiB each.
Result<std::unique_ptr<Plan>> make_plan(const Spec& spec, Resources resources, const KernelFeatures& kernel);

/// Resolves a Plan for one more process inside a container that runs: same ids, filter and limits, no right that the
/// container does not have. Of `resources` the pidfd in `joined`, cgroup, v1_cgroups, stdio and filter are used.
Result<std::unique_ptr<Plan>> make_join_plan(const Spec& spec, Resources resources, const KernelFeatures& kernel);

/// One line a step, descriptors by what they are. What `orlop inspect NAME --plan` shows.
std::string print(const Plan& plan);
/// One step in the words of the print, such as `mount tmpfs /tmp size=16777216,…`.
std::string print(const Plan& plan, const Step& step);

}  // namespace orlop::sandbox
