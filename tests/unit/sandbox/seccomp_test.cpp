#include "sandbox/seccomp.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>

#include "sandbox/seccomp_calls.hpp"
#include "tests/need.hpp"

using namespace orlop;
using namespace orlop::sandbox;

namespace {

/// errno of `call` (0: none) in a process under the filter of a container without capabilities.
template <class Call>
int under_filter(Call call) {
  const SeccompFilter filter = need(compile_filter(0));
  const pid_t child = ::fork();
  need(child >= 0);
  if (child == 0) {
    const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                             .filter = const_cast<sock_filter*>(filter.data())};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0U, &program) != 0)
      ::_exit(255);
    ::_exit(call() < 0 ? errno : 0);
  }
  int status = 0;
  need(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) != 255);
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("no call is both allowed and refused, and none stands twice in a list", "[sandbox]") {
  std::vector<std::string_view> all(allowed_call_names.begin(), allowed_call_names.end());
  all.insert(all.end(), refused_call_names.begin(), refused_call_names.end());
  std::ranges::sort(all);
  CHECK(std::ranges::adjacent_find(all) == all.end());
}

TEST_CASE("the list of allowed calls is sorted, and names the conditional ones apart", "[sandbox]") {
  const AllowedCalls calls = allowed_calls(0);
  CHECK(std::ranges::is_sorted(calls.always));
  CHECK(calls.conditional == std::vector<std::string>{"clone", "ioctl", "mknod", "mknodat", "personality", "setsockopt",
                                                      "socket", "socketpair"});
  CHECK(std::ranges::find(calls.always, "mount") == calls.always.end());
}

TEST_CASE("a filter is compiled once for each set of capabilities", "[sandbox]") {
  SeccompCache cache;
  const auto first = need(cache.get(0));
  CHECK(need(cache.get(0)) == first);
  CHECK(need(cache.get(1ULL << 13)) != first);
  CHECK(first->size() < BPF_MAXINSNS);
}

TEST_CASE("a server may set up its sockets, but pushes no input into a terminal and loads no protocol",
          "[sandbox][T14]") {
  const auto set_option = [](int level, int option) {
    return [=] {
      const int on = 1;
      return ::setsockopt(::socket(AF_INET, SOCK_STREAM, 0), level, option, &on, sizeof on);
    };
  };
  const auto control = [](unsigned long request) {
    return [=] {
      int on = 1;
      return ::ioctl(::socket(AF_INET, SOCK_STREAM, 0), request, &on);
    };
  };
  CHECK(under_filter(set_option(SOL_SOCKET, SO_REUSEADDR)) == 0);
  CHECK(under_filter(set_option(SOL_TCP, TCP_NODELAY)) == 0);
  CHECK(under_filter(set_option(SOL_TCP, TCP_ULP)) == EPERM);
  CHECK(under_filter(control(FIONBIO)) == 0);
  CHECK(under_filter(control(TIOCSTI)) == EPERM);
  CHECK(under_filter(control(TIOCLINUX)) == EPERM);
  CHECK(under_filter(control(TIOCSETD)) == EPERM);
  CHECK(under_filter(control(TIOCSTI | 1UL << 32)) == EPERM);  // the kernel reads 32 bits of it
}
