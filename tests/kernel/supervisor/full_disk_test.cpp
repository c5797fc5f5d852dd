// A full disk: what cannot be written is refused in a sentence, and what runs goes on.
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

// A small file system of the test's own, in a mount namespace that the test process keeps to itself.
class SmallDisk {
 public:
  SmallDisk() {
    need(::unshare(CLONE_NEWNS) == 0);
    need(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    need(::mount("orlop-test", directory_.path().c_str(), "tmpfs", 0, "size=24m,mode=755") == 0);
  }
  ~SmallDisk() { (void)::umount2(directory_.path().c_str(), MNT_DETACH); }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  void fill() const {
    std::ofstream file(ballast());
    const std::string block(4096, 'x');
    while (file << block << std::flush) continue;
  }
  void free() const { need(::unlink(ballast().c_str()) == 0); }
  [[nodiscard]] const std::string& path() const { return directory_.path(); }

 private:
  [[nodiscard]] std::string ballast() const { return directory_.path() + "/ballast"; }
  TemporaryDirectory directory_;
};

constexpr const char* writer = R"(
[container.writer]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; sleep 0.01; done"]
stop.grace = "0s"
)";

}  // namespace

TEST_CASE("a full disk refuses an apply and an import with a sentence, and running containers go on",
          "[supervisor][root][T41]") {
  const SmallDisk disk;
  Instance orlop({.root = disk.path()});
  need(orlop.apply(writer));
  const pid_t pid = orlop.await("writer", "running").at("pid");
  orlop.await_log("writer", "0123");
  const std::string effective = need(orlop.client().effective());
  const std::string images = need(orlop.client().list_images());
  const std::string volumes = need(orlop.client().list_volumes());
  disk.fill();

  CHECK_THAT(orlop.refusal(std::string(writer) + "[volume.v]\n[container.new]\nimage = \"BUSYBOX\"\n"),
             Contains("ENOSPC"));
  const Result<std::string> imported = orlop.import_busybox({"/data"});
  REQUIRE_FALSE(imported);
  CHECK_THAT(text(imported.error()), Contains("No space left"));
  CHECK(need(orlop.client().effective()) == effective);
  CHECK(need(orlop.client().list_images()) == images);
  CHECK(orlop.inspect("writer").at("pid") == pid);
  CHECK(is_alive(pid));

  disk.free();
  need(
      orlop.apply(std::string(writer) +
                  "[container.new]\nimage = \"BUSYBOX\"\ncommand = [\"/bin/sleep\", \"1000\"]\nstop.grace = \"0s\"\n"));
  orlop.await("new", "running");
  CHECK(orlop.inspect("writer").at("pid") == pid);
  CHECK(need(orlop.client().list_volumes()) == volumes);
  (void)orlop.audit();
}
