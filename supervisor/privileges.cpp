#include "supervisor/privileges.hpp"

#include <sys/capability.h>

#include <array>
#include <cerrno>
#include <memory>

namespace orlop::supervisor {
namespace {

constexpr std::array needed = {
    CAP_SYS_ADMIN,     // mounts, namespaces, cgroups, device filters, idmapped mounts
    CAP_SYS_CHROOT,    // setns into a mount namespace
    CAP_SYS_PTRACE,    // /proc of containers and of peers
    CAP_SYS_RESOURCE,  // limits above its own, where the host gives it
    CAP_SETUID,        // id maps, setgroups of the children it clones
    CAP_SETGID,        //
    CAP_SETPCAP,       // securebits of the children it clones
    CAP_CHOWN,         // pipes, volumes and intakes go to ids of containers
    CAP_FOWNER,        // modes of what belongs to ids of containers
    CAP_DAC_OVERRIDE,  // files of containers, a host file that only its owner reads
    CAP_KILL,          // processes of other users
    CAP_MKNOD,         // the nodes of /dev
    CAP_NET_ADMIN,     // loopback up
};

struct CapFree {
  void operator()(cap_t caps) const noexcept { (void)::cap_free(caps); }
};
using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, CapFree>;

}  // namespace

Result<void> drop_privileges() {
  const std::string doing = "cannot give up capabilities";
  const Caps held(::cap_get_proc());
  const Caps kept(::cap_init());
  if (!held || !kept) return fail_errno(errno, "cap_get_proc", doing);
  for (const cap_value_t capability : needed) {
    cap_flag_value_t has = CAP_CLEAR;
    if (::cap_get_flag(held.get(), capability, CAP_PERMITTED, &has) != 0)
      return fail_errno(errno, "cap_get_flag", doing);
    if (has == CAP_CLEAR) continue;  // the host does not give it: what needs it will say so
    for (const cap_flag_t set : {CAP_PERMITTED, CAP_EFFECTIVE})
      if (::cap_set_flag(kept.get(), set, 1, &capability, CAP_SET) != 0)
        return fail_errno(errno, "cap_set_flag", doing);
  }
  if (::cap_set_proc(kept.get()) != 0) return fail_errno(errno, "cap_set_proc", doing);
  return {};
}

}  // namespace orlop::supervisor
