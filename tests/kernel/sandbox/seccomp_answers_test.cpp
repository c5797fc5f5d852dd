// What the filter of a contained process answers, call by call: asked from inside, of the real filter.
#include <catch2/catch.hpp>

#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <sstream>

#include "sandbox/seccomp_calls.hpp"
#include "tests/kernel/sandbox/contained.hpp"

using namespace orlop;
using namespace orlop::sandbox;

namespace {

constexpr std::uint64_t buffer = ~std::uint64_t{0} - 1;  // the probe's, by its own address
constexpr std::uint64_t garbage = 0xdeadbeef'00000000;

struct Call {
  long number = 0;
  std::vector<std::uint64_t> arguments = {};
};

/// `call` with bits set where the kernel, reading an int, does not look.
Call with_garbage(Call call) {
  call.arguments.resize(6);
  for (std::uint64_t& argument : call.arguments)
    if (argument != buffer) argument |= garbage;
  return call;
}

/// A process that makes `calls` in a container with these capabilities.
Finished probe(const std::vector<Call>& calls, std::uint64_t capabilities = 0) {
  std::string lines;
  for (const Call& call : calls) {
    lines += std::to_string(call.number);
    for (std::size_t i = 0; i < 6; ++i) {
      const std::uint64_t argument = i < call.arguments.size() ? call.arguments[i] : 0;
      lines += argument == buffer ? " @" : " " + std::to_string(argument);
    }
    lines += "\n";
  }
  Spec spec = busybox("");
  spec.argv = {"/bin/program"};
  spec.capabilities = capabilities;
  Resources resources;
  resources.root = busybox_root(SYSCALL_PROBE);
  resources.standard_input = need(sys::memfd("calls"));
  need(write_all(resources.standard_input, lines));
  need(::lseek(resources.standard_input.get(), 0, SEEK_SET) == 0);
  Finished done = run(spec, std::move(resources));
  INFO((done.failure ? text(done.explained) : ""));
  REQUIRE_FALSE(done.failure);
  return done;
}

/// The errno of each call, 0 for none.
std::vector<int> answers(const std::vector<Call>& calls, std::uint64_t capabilities = 0) {
  const Finished done = probe(calls, capabilities);
  REQUIRE(done.status == 0);
  std::istringstream words(done.output);
  std::vector<int> all;
  for (int answer = 0; words >> answer;) all.push_back(answer);
  REQUIRE(all.size() == calls.size());
  return all;
}

struct Expected {
  Call call;
  int answer = 0;
};
void check(const std::vector<Expected>& table) {
  std::vector<Call> calls;
  for (const Expected& row : table) calls.push_back(row.call);
  const std::vector<int> plain = answers(calls);
  std::ranges::transform(calls, calls.begin(), with_garbage);
  const std::vector<int> dirty = answers(calls);
  for (std::size_t i = 0; i < table.size(); ++i) {
    INFO("row " << i << ", call " << table[i].call.number);
    CHECK(plain[i] == table[i].answer);
    CHECK(dirty[i] == table[i].answer);
  }
}

std::string name_of(long number) {
  char* name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number));
  std::string text = name == nullptr ? "" : name;
  std::free(name);
  return text;
}

bool holds(const auto& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

/// What defaults.md's "Sockets" says, in its own words: whether socket(family, type, protocol) reaches the kernel.
bool may_open(int family, int type, int protocol, bool raw) {
  if (family == AF_UNIX) return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET;
  if (family == AF_NETLINK) return protocol == NETLINK_ROUTE;
  if (family != AF_INET && family != AF_INET6) return false;
  if (type == SOCK_STREAM) return protocol == 0 || protocol == IPPROTO_TCP;
  if (type == SOCK_DGRAM) return protocol == 0 || protocol == IPPROTO_UDP;
  return type == SOCK_RAW && raw;
}

}  // namespace

TEST_CASE("every call of the refused list answers EPERM, and one in no list ENOSYS", "[sandbox][root][T19][T22]") {
  const AllowedCalls allowed = allowed_calls(0);
  std::vector<Call> calls;
  std::vector<int> expected;
  for (long number = 0; number < 1024; ++number) {
    // uretprobe and uprobe of newer kernels, which no filter sees: SIGILL for whoever is not being traced.
    if (number == 335 || number == 336) continue;
    const std::string name = name_of(number);
    if (holds(allowed.always, name) || holds(allowed.conditional, name)) continue;
    calls.push_back({number});
    expected.push_back(holds(refused_call_names, name) ? EPERM : ENOSYS);
  }
  const std::vector<int> seen = answers(calls);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    INFO(calls[i].number << " " << name_of(calls[i].number));
    CHECK(seen[i] == expected[i]);
  }
}

TEST_CASE("only the documented sockets reach the kernel; any other family, type or protocol is EAFNOSUPPORT",
          "[sandbox][root][T23]") {
  const std::uint64_t capabilities = GENERATE(std::uint64_t{0}, std::uint64_t{1} << CAP_NET_RAW);
  const bool raw = capabilities != 0;
  std::vector<Call> calls;
  for (std::uint64_t family = 0; family <= 45; ++family)
    for (std::uint64_t type = 0; type <= 11; ++type)
      for (const std::uint64_t protocol : {0, 1, 2, 4, 6, 12, 15, 16, 17, 33, 58, 103, 132, 136, 255, 256, 262, -1})
        calls.push_back({SYS_socket, {family, type, protocol}});
  const std::vector<int> plain = answers(calls, capabilities);
  std::vector<Call> others = calls;
  for (Call& call : others) call.arguments[1] |= SOCK_CLOEXEC | SOCK_NONBLOCK;
  std::ranges::transform(others, others.begin(), with_garbage);
  const std::vector<int> dirty = answers(others, capabilities);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const auto family = static_cast<int>(calls[i].arguments[0]);
    const auto type = static_cast<int>(calls[i].arguments[1]);
    const auto protocol = static_cast<int>(calls[i].arguments[2]);
    const bool open = may_open(family, type, protocol, raw);
    if ((plain[i] == EAFNOSUPPORT) == open || dirty[i] != plain[i])
      FAIL_CHECK("socket(" << family << ", " << type << ", " << protocol << ") answers " << plain[i] << " and "
                           << dirty[i]);
  }
}

TEST_CASE("the sockets of ordinary programs open", "[sandbox][root][T23]") {
  check({{{SYS_socket, {AF_UNIX, SOCK_STREAM, 0}}, 0},
         {{SYS_socket, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0}}, 0},
         {{SYS_socket, {AF_INET, SOCK_STREAM, 0}}, 0},
         {{SYS_socket, {AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP}}, 0},
         {{SYS_socket, {AF_INET, SOCK_DGRAM, IPPROTO_UDP}}, 0},
         {{SYS_socket, {AF_INET6, SOCK_STREAM, IPPROTO_TCP}}, 0},
         {{SYS_socket, {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0}}, 0},
         {{SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE}}, 0},
         {{SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, buffer}}, 0},
         {{SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, buffer}}, 0},
         {{SYS_socketpair, {AF_INET, SOCK_STREAM, 0, buffer}}, EAFNOSUPPORT},
         {{SYS_socketpair, {AF_TIPC, SOCK_STREAM, 0, buffer}}, EAFNOSUPPORT}});
}

TEST_CASE("no namespace is made or entered, by whichever call", "[sandbox][root][T19]") {
  std::vector<Expected> table = {
      {{SYS_clone3, {buffer, 88}}, ENOSYS}, {{SYS_setns, {0, CLONE_NEWUSER}}, EPERM}, {{SYS_clone, {SIGCHLD}}, 0}};
  for (const std::uint64_t kind :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    table.push_back({{SYS_unshare, {kind}}, EPERM});
    table.push_back({{SYS_clone, {kind | SIGCHLD}}, EPERM});
  }
  check(table);
}

TEST_CASE(
    "device nodes, odd personalities, terminal input and loaded protocols are refused whatever stands above the "
    "int",
    "[sandbox][root][T14]") {
  std::vector<Expected> table;
  for (const std::uint64_t device : {S_IFCHR, S_IFBLK}) {
    table.push_back({{SYS_mknodat, {static_cast<std::uint64_t>(AT_FDCWD), buffer, device | 0600}}, EPERM});
#ifdef SYS_mknod
    table.push_back({{SYS_mknod, {buffer, device | 0600}}, EPERM});
#endif
  }
  for (const std::uint64_t persona : {0x8, 0x20000, 0x20008, 0}) table.push_back({{SYS_personality, {persona}}, 0});
  for (const std::uint64_t persona : {ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT})
    table.push_back({{SYS_personality, {persona}}, EPERM});
  for (const std::uint64_t request : {TIOCSTI, TIOCLINUX, TIOCSETD})
    table.push_back({{SYS_ioctl, {0, request, buffer}}, EPERM});
  table.push_back({{SYS_ioctl, {0, TCGETS, buffer}}, ENOTTY});
  table.push_back({{SYS_setsockopt, {0, SOL_TCP, TCP_ULP, buffer, 4}}, EPERM});
  table.push_back({{SYS_setsockopt, {0, SOL_TCP, TCP_NODELAY, buffer, 4}}, ENOTSOCK});
  table.push_back({{SYS_setsockopt, {0, SOL_SOCKET, TCP_ULP, buffer, 4}}, ENOTSOCK});
  check(table);
}

#if defined(__x86_64__)
TEST_CASE("a call by x32's numbers ends the process", "[sandbox][root]") {
  constexpr long x32 = 0x40000000;
  for (const long number : {SYS_getpid, SYS_socket, SYS_ptrace}) {
    const Finished done = probe({{number | x32}});
    INFO(number << " " << done.output);
    CHECK(WIFSIGNALED(done.status));
    CHECK(WTERMSIG(done.status) == SIGSYS);
  }
}
#endif
