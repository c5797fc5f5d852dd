// Images taken in by the whole orlop: what a later import may change, and that one that cannot begin harms nobody.
#include <fcntl.h>
#include <sched.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <thread>

#include "base/sys.hpp"
#include "tests/kernel/supervisor/instance.hpp"

using namespace orlop;

namespace {

// A layout of the busybox image.
class BusyboxLayout {
 public:
  BusyboxLayout() {
    const std::string command =
        std::string(ORLOP_SOURCE) + "/tests/images/busybox-layout " + directory_.path() + "/oci >/dev/null 2>&1";
    REQUIRE(std::system(command.c_str()) == 0);
  }
  [[nodiscard]] UniqueFd open() const { return need(sys::open(directory_.path() + "/oci", O_RDONLY | O_DIRECTORY)); }

 private:
  TemporaryDirectory directory_;
};

Result<std::string> import(const Instance& orlop, BorrowedFd source, std::vector<std::string> mkdir = {}) {
  return orlop.client().import_image(source, control::ImageSource::layout, {.name = "app", .mkdir = std::move(mkdir)});
}

// A directory of a mount namespace that is no more: no mount can be cloned from it, so its import fails at once.
UniqueFd directory_of_another_namespace() {
  UniqueFd directory;
  std::thread([&] {
    if (::unshare(CLONE_NEWNS) == 0) directory = need(sys::open("/tmp", O_RDONLY | O_DIRECTORY));
  }).join();
  REQUIRE(directory);
  return directory;
}

}  // namespace

TEST_CASE("an image that is there is sealed anew only for an import with --mkdir", "[supervisor][root][T75]") {
  const Instance orlop;
  const BusyboxLayout layout;
  const std::string plain = need(import(orlop, layout.open()));
  CHECK(need(import(orlop, layout.open())) == plain);
  const std::string with_data = need(import(orlop, layout.open(), {"/data"}));
  CHECK(with_data != plain);
  const Result<std::string> back = import(orlop, layout.open());
  REQUIRE_FALSE(back);
  CHECK(back.error().kind == ErrorKind::conflict);
  CHECK(need(import(orlop, layout.open(), {"/data"})) == with_data);
}

TEST_CASE("imports that cannot begin are answered, and those that wait get their turn", "[supervisor][root]") {
  const Instance orlop;
  const BusyboxLayout layout;
  const pid_t supervisor = orlop.supervisor();
  CHECK_FALSE(import(orlop, directory_of_another_namespace()));
  std::vector<std::thread> clients;
  std::array<bool, 6> taken{};
  for (std::size_t i = 0; i < taken.size(); ++i)
    clients.emplace_back([&, i, source = i % 2 == 0 ? layout.open() : directory_of_another_namespace()] {
      taken[i] = import(orlop, source).has_value();
    });
  for (std::thread& client : clients) client.join();
  CHECK(taken == std::array{true, false, true, false, true, false});
  CHECK(orlop.supervisor() == supervisor);
}
