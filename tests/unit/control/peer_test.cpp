#include "supervisor/control/peer.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "base/sys.hpp"

using namespace orlop;
using namespace orlop::control;

TEST_CASE("the owner administers, members of the group read, others have no role", "[control][T61]") {
  const auto role = [](uid_t uid, gid_t gid, std::vector<gid_t> groups, std::optional<gid_t> readers) {
    return role_of({.peer = {.uid = uid, .gid = gid}, .groups = std::move(groups)}, 0, readers);
  };
  CHECK(role(0, 0, {}, std::nullopt) == Role::admin);
  CHECK(role(0, 77, {77}, 77) == Role::admin);
  CHECK(role(1000, 77, {}, 77) == Role::reader);
  CHECK(role(1000, 1000, {5, 77}, 77) == Role::reader);
  CHECK(role(1000, 0, {0, 5}, 77) == std::nullopt);
  CHECK(role(1000, 77, {77}, std::nullopt) == std::nullopt);
}

TEST_CASE("the kernel names the peer and its program", "[control]") {
  auto pair = sys::socketpair(SOCK_STREAM);
  REQUIRE(pair);
  const Result<Identity> identity = identify(pair->first);
  REQUIRE(identity);
  CHECK(identity->peer.uid == ::geteuid());
  CHECK(identity->peer.gid == ::getegid());
  CHECK(identity->peer.pid == ::getpid());
  CHECK(identity->peer.executable == std::filesystem::read_symlink("/proc/self/exe"));
}
