#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include "supervisor/control/server.hpp"
#include "tests/kernel/control/raw_client.hpp"
#include "tests/temporary_directory.hpp"

using namespace orlop;
using namespace orlop::control;

namespace {

struct stat status_of(const TemporaryDirectory& directory, const char* name) {
  struct stat status{};
  REQUIRE(::fstatat(directory.fd().get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0);
  return status;
}

}  // namespace

TEST_CASE("the socket belongs to root, and to the readers' group if there is one", "[control][kernel]") {
  const TemporaryDirectory directory;
  const UniqueFd alone = make_listener(directory.fd(), "alone.sock", std::nullopt).value();
  CHECK((status_of(directory, "alone.sock").st_mode & 07777) == 0600);
  const UniqueFd shared = make_listener(directory.fd(), "shared.sock", 4242).value();
  CHECK((status_of(directory, "shared.sock").st_mode & 07777) == 0660);
  CHECK(status_of(directory, "shared.sock").st_uid == 0);
  CHECK(status_of(directory, "shared.sock").st_gid == 4242);
  CHECK(*list_directory(directory.fd()) == std::vector<std::string>{"alone.sock", "shared.sock"});
}

TEST_CASE("a socket left by a dead supervisor is replaced", "[control][kernel][T68]") {
  const TemporaryDirectory directory;
  make_listener(directory.fd(), "control.sock", std::nullopt).value().reset();
  const UniqueFd listener = make_listener(directory.fd(), "control.sock", std::nullopt).value();
  const RawClient client(directory.path() + "/control.sock");
  CHECK(UniqueFd(::accept(listener.get(), nullptr, nullptr)));
}

TEST_CASE("a socket that another supervisor serves is not taken", "[control][kernel][T68]") {
  const TemporaryDirectory directory;
  const UniqueFd listener = make_listener(directory.fd(), "control.sock", std::nullopt).value();
  const auto second = make_listener(directory.fd(), "control.sock", std::nullopt);
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == ErrorKind::conflict);
}

TEST_CASE("what is no socket is not replaced", "[control][kernel][T68]") {
  const TemporaryDirectory directory;
  REQUIRE(replace_file(directory.fd(), "control.sock", "precious", Durability::until_reboot));
  CHECK(make_listener(directory.fd(), "control.sock", std::nullopt).error().kind == ErrorKind::conflict);
  CHECK(*read_file(directory.fd(), "control.sock", 100) == "precious");
  REQUIRE(::symlinkat("control.sock", directory.fd().get(), "link.sock") == 0);
  CHECK(make_listener(directory.fd(), "link.sock", std::nullopt).error().kind == ErrorKind::conflict);
  CHECK(S_ISLNK(status_of(directory, "link.sock").st_mode));
}
