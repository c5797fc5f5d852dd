#include "sandbox/seccomp.hpp"

#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "sandbox/seccomp_calls.hpp"

namespace orlop::sandbox {
namespace {

struct ContextRelease {
  void operator()(void* context) const noexcept { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextRelease>;

constexpr std::uint64_t low32 = 0xffffffffULL;
constexpr std::uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
constexpr std::uint64_t new_namespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/// Argument `index` as an int equals `value`.
scmp_arg_cmp is_int(unsigned index, std::uint64_t value) {
  return scmp_arg_cmp{index, SCMP_CMP_MASKED_EQ, low32, value & low32};
}
/// Argument `index` has exactly the bits `value` of `mask`.
scmp_arg_cmp has_bits(unsigned index, std::uint64_t mask, std::uint64_t value) {
  return scmp_arg_cmp{index, SCMP_CMP_MASKED_EQ, mask, value};
}

/// A rule on the arguments of one call. Rules of one call are alternatives.
struct Conditional {
  std::string_view call;
  std::uint32_t action;
  std::vector<scmp_arg_cmp> arguments;
};

// Socket families that load no module and reach no hypervisor. Types keep SOCK_NONBLOCK and SOCK_CLOEXEC out of the
// comparison.
std::vector<Conditional> socket_rules(bool raw) {
  std::vector<Conditional> rules;
  constexpr std::uint64_t type_mask = low32 & ~static_cast<std::uint64_t>(SOCK_NONBLOCK | SOCK_CLOEXEC);
  for (const int family : {AF_UNIX, AF_INET, AF_INET6})
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
      rules.push_back({"socket", SCMP_ACT_ALLOW, {is_int(0, family), has_bits(1, type_mask, type)}});
  if (raw)
    for (const int family : {AF_INET, AF_INET6})
      rules.push_back({"socket", SCMP_ACT_ALLOW, {is_int(0, family), has_bits(1, type_mask, SOCK_RAW)}});
  rules.push_back({"socket", SCMP_ACT_ALLOW, {is_int(0, AF_NETLINK), is_int(2, NETLINK_ROUTE)}});
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
    rules.push_back({"socketpair", SCMP_ACT_ALLOW, {is_int(0, AF_UNIX), has_bits(1, type_mask, type)}});
  return rules;
}

std::vector<Conditional> conditional_rules(std::uint64_t capabilities) {
  const bool raw = (capabilities >> CAP_NET_RAW & 1U) != 0;
  std::vector<Conditional> rules = socket_rules(raw);
  // CLONE_NEWTIME lies in clone(2)'s signal bits: only clone3 and unshare, both refused, can ask for it.
  rules.push_back({"clone", SCMP_ACT_ALLOW, {has_bits(0, new_namespaces, 0)}});
  // FIFOs, sockets and plain files may be made; device nodes never, whatever the capabilities.
  constexpr std::uint64_t kind = S_IFMT;
  for (const auto& [call, mode] : {std::pair{"mknod", 1U}, std::pair{"mknodat", 2U}}) {
    for (const std::uint64_t harmless : {0UL, 0UL + S_IFREG, 0UL + S_IFIFO, 0UL + S_IFSOCK})
      rules.push_back({call, SCMP_ACT_ALLOW, {has_bits(mode, kind, harmless)}});
    for (const std::uint64_t device : {0UL + S_IFCHR, 0UL + S_IFBLK})
      rules.push_back({call, refuse, {has_bits(mode, kind, device)}});
  }
  for (const unsigned long persona : {0UL, 0x8UL, 0x20000UL, 0x20008UL, 0xffffffffUL})
    rules.push_back({"personality", SCMP_ACT_ALLOW, {is_int(0, persona)}});
  return rules;
}

int resolve(std::string_view call) {
  return seccomp_syscall_resolve_name(std::string(call).c_str());
}

Result<void> add(const Context& context, std::uint32_t action, std::string_view call,
                 std::span<const scmp_arg_cmp> arguments) {
  const int number = resolve(call);
  if (number == __NR_SCMP_ERROR || number < 0)
    return {};  // unknown to this libseccomp or not on this machine: ENOSYS by default
  const int status =
      seccomp_rule_add_array(context.get(), action, number, static_cast<unsigned>(arguments.size()), arguments.data());
  if (status != 0) return fail_errno(-status, "seccomp_rule_add", fmt::format("cannot add a rule for {}", call));
  return {};
}

Result<void> add_all(const Context& context, std::uint64_t capabilities) {
  for (const std::string_view call : allowed_call_names)
    if (Result<void> added = add(context, SCMP_ACT_ALLOW, call, {}); !added) return added;
  for (const std::string_view call : refused_call_names)
    if (Result<void> added = add(context, refuse, call, {}); !added) return added;
  for (const Conditional& rule : conditional_rules(capabilities))
    if (Result<void> added = add(context, rule.action, rule.call, rule.arguments); !added) return added;
  return {};
}

// libseccomp cannot say "any argument but these" of one call (two unequal comparisons become OR), so ioctl and
// setsockopt are allowed by it, and these few instructions stand before its program: input pushed into a terminal, line
// disciplines, and upper layer protocols that load modules are refused. Jumps of BPF are relative: programs can be set
// one behind the other.
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
constexpr std::uint32_t low_half = 0;
#else
constexpr std::uint32_t low_half = 4;
#endif

#if defined(__x86_64__)
constexpr std::uint32_t native_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t native_arch = AUDIT_ARCH_AARCH64;
#else
#error "name this architecture's AUDIT_ARCH_ here"
#endif

constexpr sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
constexpr sock_filter load_argument(std::size_t index) {
  return load(offsetof(seccomp_data, args) + 8 * index + low_half);
}
constexpr sock_filter jump_if(std::uint32_t value, std::uint8_t equal, std::uint8_t otherwise) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, equal, otherwise);
}

constexpr std::array<sock_filter, 14> exceptions = {
    load(offsetof(seccomp_data, arch)),                    // 0
    jump_if(native_arch, 0, 12),                           // 1: a foreign architecture is libseccomp's to end
    load(offsetof(seccomp_data, nr)),                      // 2
    jump_if(SYS_ioctl, 0, 4),                              // 3
    load_argument(1),                                      // 4
    jump_if(TIOCSTI, 7, 0),                                // 5
    jump_if(TIOCLINUX, 6, 0),                              // 6
    jump_if(TIOCSETD, 5, 6),                               // 7
    jump_if(SYS_setsockopt, 0, 5),                         // 8
    load_argument(1),                                      // 9
    jump_if(SOL_TCP, 0, 3),                                // 10
    load_argument(2),                                      // 11
    jump_if(TCP_ULP, 0, 1),                                // 12
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),  // 13
};

}  // namespace

AllowedCalls allowed_calls(std::uint64_t capabilities) {
  AllowedCalls calls;
  for (const std::string_view call : allowed_call_names)
    if (resolve(call) >= 0) calls.always.emplace_back(call);
  for (const Conditional& rule : conditional_rules(capabilities)) calls.conditional.emplace_back(rule.call);
  std::ranges::sort(calls.always);
  std::ranges::sort(calls.conditional);
  const auto repeated = std::ranges::unique(calls.conditional);
  calls.conditional.erase(repeated.begin(), repeated.end());
  return calls;
}

Result<SeccompFilter> compile_filter(std::uint64_t capabilities) {
  const Context context(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)));
  if (!context) return fail_errno(ENOMEM, "seccomp_init", "cannot make a system-call filter");
  // A binary tree over the numbers: the calls of a busy server pass 9 comparisons instead of up to 300.
  for (const auto& [attribute, value] : {std::pair{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS},
                                         std::pair{SCMP_FLTATR_CTL_OPTIMIZE, std::uint32_t{2}}})
    if (const int status = seccomp_attr_set(context.get(), attribute, value); status != 0)
      return fail_errno(-status, "seccomp_attr_set", "cannot make a system-call filter");
  if (Result<void> added = add_all(context, capabilities); !added) return pass(std::move(added));
  Result<UniqueFd> file = sys::memfd("seccomp");
  if (!file) return pass(std::move(file));
  if (const int status = seccomp_export_bpf(context.get(), file->get()); status != 0)
    return fail_errno(-status, "seccomp_export_bpf", "cannot compile a system-call filter");
  if (::lseek(file->get(), 0, SEEK_SET) < 0)
    return fail_errno(errno, "lseek", "cannot read a compiled system-call filter");
  Result<std::string> bytes = read_all(*file, BPF_MAXINSNS * sizeof(sock_filter));
  if (!bytes) return fail(std::move(bytes), "cannot read a compiled system-call filter");
  SeccompFilter filter(exceptions.begin(), exceptions.end());
  filter.resize(exceptions.size() + bytes->size() / sizeof(sock_filter));
  std::memcpy(filter.data() + exceptions.size(), bytes->data(), bytes->size());
  return filter;
}

Result<std::shared_ptr<const SeccompFilter>> SeccompCache::get(std::uint64_t capabilities) {
  for (const Entry& entry : entries_)
    if (entry.capabilities == capabilities) return entry.filter;
  Result<SeccompFilter> filter = compile_filter(capabilities);
  if (!filter) return pass(std::move(filter));
  entries_.push_back({capabilities, std::make_shared<const SeccompFilter>(*std::move(filter))});
  return entries_.back().filter;
}

}  // namespace orlop::sandbox
