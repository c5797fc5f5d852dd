#include "netns/netns.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "base/file.hpp"
#include "base/namespace.hpp"
#include "base/sys.hpp"
#include "netns/sysctls.hpp"

using namespace orlop;
using namespace orlop::netns;

namespace {

ino_t identity(BorrowedFd netns) {
  struct stat status{};
  REQUIRE(::fstat(netns.get(), &status) == 0);
  return status.st_ino;
}

ino_t own_identity() {
  struct stat status{};
  REQUIRE(::stat("/proc/thread-self/ns/net", &status) == 0);
  return status.st_ino;
}

std::string sysctl(std::string_view path) {
  const Result<UniqueFd> file = sys::open("/proc/sys/net/" + std::string(path), O_RDONLY);
  if (!file) return "absent";
  std::string text = read_all(*file, 4096).value();
  text.pop_back();
  for (char& c : text)
    if (c == '\t') c = ' ';
  return text;
}

std::vector<std::string> links() {
  std::vector<std::string> names;
  struct if_nameindex* all = ::if_nameindex();
  REQUIRE(all != nullptr);
  for (const struct if_nameindex* link = all; link->if_index != 0; ++link) names.emplace_back(link->if_name);
  ::if_freenameindex(all);
  return names;
}

// Sends a byte over a TCP connection to a port of 127.0.0.1 that only root may bind elsewhere.
bool loopback_carries() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(80);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(listener.get(), generic, sizeof address) != 0 || ::listen(listener.get(), 1) != 0) return false;
  if (::connect(client.get(), generic, sizeof address) != 0) return false;
  const UniqueFd server(::accept(listener.get(), nullptr, nullptr));
  char byte = 'x';
  return ::write(client.get(), &byte, 1) == 1 && ::read(server.get(), &byte, 1) == 1 && byte == 'x';
}

}  // namespace

TEST_CASE("a new network namespace has loopback, up and usable, and no other link", "[netns]") {
  const Result<UniqueFd> netns = make();
  REQUIRE(netns);
  const Result<sys::WithinNamespace> inside = sys::WithinNamespace::enter(*netns, CLONE_NEWNET);
  REQUIRE(inside);
  REQUIRE(links() == std::vector<std::string>{"lo"});
  CHECK(loopback_carries());
}

TEST_CASE("a new network namespace is not the caller's, and the caller stays in its own", "[netns]") {
  const ino_t home = own_identity();
  const Result<UniqueFd> netns = make();
  REQUIRE(netns);
  CHECK(own_identity() == home);
  CHECK(identity(*netns) != home);
}

TEST_CASE("the sysctls inside are those of the default profile, and the caller's stay as they are", "[netns]") {
  const std::string outside = sysctl("ipv4/ip_unprivileged_port_start");
  const Result<UniqueFd> netns = make();
  REQUIRE(netns);
  {
    const Result<sys::WithinNamespace> inside = sys::WithinNamespace::enter(*netns, CLONE_NEWNET);
    REQUIRE(inside);
    for (const Sysctl& wanted : default_sysctls()) {
      INFO(wanted.path);
      const std::string found = sysctl(wanted.path);
      if (found == "absent" && wanted.path.starts_with("ipv6/")) continue;
      CHECK(found == wanted.value);
    }
  }
  CHECK(sysctl("ipv4/ip_unprivileged_port_start") == outside);
}

TEST_CASE("a thread that enters a network namespace is home again at the end of the scope", "[netns]") {
  const ino_t home = own_identity();
  const Result<UniqueFd> netns = make();
  REQUIRE(netns);
  {
    const Result<sys::WithinNamespace> inside = sys::WithinNamespace::enter(*netns, CLONE_NEWNET);
    REQUIRE(inside);
    CHECK(own_identity() == identity(*netns));
    ino_t of_other_thread = 0;
    std::thread([&] { of_other_thread = own_identity(); }).join();
    CHECK(of_other_thread == identity(*netns));  // a thread begins where its maker is
  }
  CHECK(own_identity() == home);
}

TEST_CASE("making a network namespace does not move another thread", "[netns]") {
  const ino_t home = own_identity();
  bool moved = false;
  std::jthread other([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      struct stat status{};
      if (::stat("/proc/thread-self/ns/net", &status) != 0 || status.st_ino != home) moved = true;
    }
  });
  for (int i = 0; i < 20; ++i) CHECK(make());
  other.request_stop();
  other.join();
  CHECK_FALSE(moved);
}

TEST_CASE("a pool gives each namespace once, and one made at once when it is empty", "[netns]") {
  Pool pool(2);
  CHECK(*pool.refill_one());
  CHECK_FALSE(*pool.refill_one());
  CHECK_FALSE(*pool.refill_one());
  CHECK(pool.ready() == 2);
  std::vector<UniqueFd> given;
  std::set<ino_t> identities;
  for (int i = 0; i < 3; ++i) {
    Result<UniqueFd> netns = pool.take();
    REQUIRE(netns);
    identities.insert(identity(*netns));
    given.push_back(std::move(*netns));
  }
  CHECK(identities.size() == 3);
  CHECK(pool.ready() == 0);
}

TEST_CASE("what is no network namespace cannot be entered", "[netns]") {
  const ino_t home = own_identity();
  const Result<UniqueFd> uts = sys::open("/proc/self/ns/uts", O_RDONLY);
  REQUIRE(uts);
  CHECK_FALSE(sys::WithinNamespace::enter(*uts, CLONE_NEWNET));
  CHECK(own_identity() == home);
}

TEST_CASE("a process in its own user namespace can configure nothing of a namespace made here", "[netns]") {
  const Result<UniqueFd> netns = make();
  REQUIRE(netns);
  const pid_t child = ::fork();
  if (child == 0) {
    if (!sys::setns(*netns, CLONE_NEWNET)) ::_exit(1);
    if (::setresuid(600'000, 600'000, 600'000) != 0 || ::unshare(CLONE_NEWUSER) != 0) ::_exit(2);
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM, 0));
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = 0;
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0) ::_exit(3);  // would take loopback down
    if (UniqueFd(::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))) ::_exit(4);
    if (sys::open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY)) ::_exit(5);
    if (sys::setns(*netns, CLONE_NEWNET)) ::_exit(6);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
