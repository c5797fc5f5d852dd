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

// --- what is allowed under a condition ---

/// Of an argument as the kernel's int: the bits of `mask` are exactly `value`.
struct Argument {
  unsigned index;
  std::uint32_t value;
  std::uint32_t mask = ~0U;
};
/// Arguments that a call may have at the same time.
using Combination = std::vector<Argument>;

/// One call of which the arguments decide.
struct Conditional {
  enum class Listed : std::uint8_t { passes, is_refused };
  std::string_view call;
  long number;
  Listed listed;  ///< what becomes of a call with one of the combinations; any other fares the opposite
  int error;      ///< the answer to a call that is refused
  std::vector<Combination> combinations;
};

/// Families that reach no hypervisor, with types and protocols for which the kernel loads no module.
std::vector<Combination> sockets(bool raw) {
  constexpr std::uint32_t type = ~static_cast<std::uint32_t>(SOCK_NONBLOCK | SOCK_CLOEXEC);
  std::vector<Combination> list = {{{0, AF_NETLINK}, {2, NETLINK_ROUTE}}};
  for (const std::uint32_t kind : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
    list.push_back({{0, AF_UNIX}, {1, kind, type}});
  for (const std::uint32_t family : {AF_INET, AF_INET6}) {
    for (const std::uint32_t protocol : {IPPROTO_IP, IPPROTO_TCP})
      list.push_back({{0, family}, {1, SOCK_STREAM, type}, {2, protocol}});
    for (const std::uint32_t protocol : {IPPROTO_IP, IPPROTO_UDP})
      list.push_back({{0, family}, {1, SOCK_DGRAM, type}, {2, protocol}});
    if (raw) list.push_back({{0, family}, {1, SOCK_RAW, type}});
  }
  return list;
}

std::vector<Combination> socket_pairs() {
  std::vector<Combination> list;
  for (const Combination& socket : sockets(false))
    if (socket.front().value == AF_UNIX) list.push_back(socket);
  return list;
}

// FIFOs, sockets and plain files may be made; device nodes never, whatever the capabilities.
std::vector<Combination> harmless_nodes(unsigned mode) {
  std::vector<Combination> list;
  for (const std::uint32_t kind : {0, S_IFREG, S_IFIFO, S_IFSOCK}) list.push_back({{mode, kind, S_IFMT}});
  return list;
}

std::vector<Conditional> conditional_calls(std::uint64_t capabilities) {
  using enum Conditional::Listed;
  constexpr std::uint32_t new_namespaces =
      CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  const bool raw = (capabilities >> CAP_NET_RAW & 1U) != 0;
  return {
      // input pushed into a terminal, and line disciplines, which are modules
      {"ioctl", SYS_ioctl, is_refused, EPERM, {{{1, TIOCSTI}}, {{1, TIOCLINUX}}, {{1, TIOCSETD}}}},
      // CLONE_NEWTIME lies in clone(2)'s signal bits: only clone3 and unshare, both refused, can ask for it
      {"clone", SYS_clone, passes, EPERM, {{{0, 0, new_namespaces}}}},
      {"socket", SYS_socket, passes, EAFNOSUPPORT, sockets(raw)},
      {"socketpair", SYS_socketpair, passes, EAFNOSUPPORT, socket_pairs()},
      // upper layer protocols are modules
      {"setsockopt", SYS_setsockopt, is_refused, EPERM, {{{1, SOL_TCP}, {2, TCP_ULP}}}},
#ifdef SYS_mknod
      {"mknod", SYS_mknod, passes, EPERM, harmless_nodes(1)},
#endif
      {"mknodat", SYS_mknodat, passes, EPERM, harmless_nodes(2)},
      {"personality",
       SYS_personality,
       passes,
       EPERM,
       {{{0, 0U}}, {{0, 0x8U}}, {{0, 0x20000U}}, {{0, 0x20008U}}, {{0, 0xffffffffU}}}},
  };
}

// --- by name: libseccomp ---

int resolve(std::string_view call) {
  return seccomp_syscall_resolve_name(std::string(call).c_str());
}

Result<void> add(const Context& context, std::uint32_t action, std::string_view call) {
  const int number = resolve(call);
  if (number == __NR_SCMP_ERROR || number < 0)
    return {};  // unknown to this libseccomp or not on this machine: ENOSYS by default
  if (const int status = seccomp_rule_add_array(context.get(), action, number, 0, nullptr); status != 0)
    return fail_errno(-status, "seccomp_rule_add", fmt::format("cannot add a rule for {}", call));
  return {};
}

Result<void> add_all(const Context& context, std::span<const Conditional> conditionals) {
  for (const std::string_view call : allowed_call_names)
    if (Result<void> added = add(context, SCMP_ACT_ALLOW, call); !added) return added;
  for (const std::string_view call : refused_call_names)
    if (Result<void> added = add(context, SCMP_ACT_ERRNO(EPERM), call); !added) return added;
  for (const Conditional& conditional : conditionals)
    if (Result<void> added = add(context, SCMP_ACT_ALLOW, conditional.call); !added) return added;
  return {};
}

// --- by arguments: a few instructions before libseccomp's ---
//
// libseccomp has one answer for every call whose arguments no rule allows, and cannot say "any but these" (two unequal
// comparisons become OR). So it lets the conditional calls through, and what stands before it has already refused the
// rest of them. Jumps of BPF are relative: programs can be set one behind the other.

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

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter load_number() {
  return load(offsetof(seccomp_data, nr));
}
/// Goes on with the next instruction, or `skipped` (at most 255) further if the value loaded is another.
sock_filter unless_equal(std::uint32_t value, std::size_t skipped) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, static_cast<std::uint8_t>(skipped));
}
sock_filter skip(std::size_t count) {
  return BPF_STMT(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(count));
}

/// Goes on behind its last instruction if the arguments are `combination`'s, and otherwise one instruction further.
SeccompFilter match(const Combination& combination) {
  SeccompFilter program;
  std::size_t behind = 3 * combination.size();  // instructions that are still to come
  for (const Argument& argument : combination) {
    behind -= 3;
    program.push_back(load(offsetof(seccomp_data, args) + std::size_t{8} * argument.index + low_half));
    program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, argument.mask));
    program.push_back(unless_equal(argument.value, behind + 1));
  }
  return program;
}

/// Begins with the call's number loaded and ends with it loaded, or with a refusal.
SeccompFilter decide(const Conditional& conditional) {
  const sock_filter refuse =
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(conditional.error));
  // Built from the end: what one combination skips is what stands behind it.
  SeccompFilter tail = {load_number()};
  const bool passes = conditional.listed == Conditional::Listed::passes;
  if (passes) tail.insert(tail.begin(), refuse);
  for (const Combination& combination : conditional.combinations) {
    SeccompFilter tried = match(combination);
    tried.push_back(passes ? skip(tail.size() - 1) : refuse);
    tail.insert(tail.begin(), tried.begin(), tried.end());
  }
  tail.insert(tail.begin(), unless_equal(static_cast<std::uint32_t>(conditional.number), tail.size()));
  return tail;
}

/// Refuses every conditional call that is not to pass; every other call goes on behind it.
SeccompFilter decide_all(std::span<const Conditional> conditionals) {
  SeccompFilter decisions = {load_number()};
  for (const Conditional& conditional : conditionals) {
    const SeccompFilter one = decide(conditional);
    decisions.insert(decisions.end(), one.begin(), one.end());
  }
  // A foreign architecture has other numbers: it is libseccomp's to end.
  SeccompFilter program = {load(offsetof(seccomp_data, arch)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native_arch, 1, 0),
                           skip(decisions.size())};
  program.insert(program.end(), decisions.begin(), decisions.end());
  return program;
}

}  // namespace

AllowedCalls allowed_calls(std::uint64_t capabilities) {
  AllowedCalls calls;
  for (const std::string_view call : allowed_call_names)
    if (resolve(call) >= 0) calls.always.emplace_back(call);
  for (const Conditional& conditional : conditional_calls(capabilities))
    calls.conditional.emplace_back(conditional.call);
  std::ranges::sort(calls.always);
  std::ranges::sort(calls.conditional);
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
  const std::vector<Conditional> conditionals = conditional_calls(capabilities);
  if (Result<void> added = add_all(context, conditionals); !added) return pass(std::move(added));
  Result<UniqueFd> file = sys::memfd("seccomp");
  if (!file) return pass(std::move(file));
  if (const int status = seccomp_export_bpf(context.get(), file->get()); status != 0)
    return fail_errno(-status, "seccomp_export_bpf", "cannot compile a system-call filter");
  if (::lseek(file->get(), 0, SEEK_SET) < 0)
    return fail_errno(errno, "lseek", "cannot read a compiled system-call filter");
  Result<std::string> bytes = read_all(*file, BPF_MAXINSNS * sizeof(sock_filter));
  if (!bytes) return fail(std::move(bytes), "cannot read a compiled system-call filter");
  SeccompFilter filter = decide_all(conditionals);
  const std::size_t first = filter.size();
  filter.resize(first + bytes->size() / sizeof(sock_filter));
  std::memcpy(filter.data() + first, bytes->data(), bytes->size());
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
