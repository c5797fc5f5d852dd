#include "image/mount.hpp"

#include <sys/statvfs.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "image/worker/seal.hpp"
#include "tests/kernel/image/sealed.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

// A sealed tree with one file `f`.
struct SealedFile {
  SealedFile() {
    const UniqueFd tree = need(make_directory(directory.fd(), "tree", 0755));
    need(replace_file(tree, "f", "sealed", Durability::until_reboot));
    need(seal_tree(directory.fd(), "tree", "image.erofs"));
    file = need(sys::open_beneath(directory.fd(), "image.erofs", O_RDONLY));
  }
  TemporaryDirectory directory;
  UniqueFd file;
};

void check_mount(BorrowedFd mount) {
  CHECK(need(read_file(mount, "f", 100)) == "sealed");
  struct statvfs status{};
  REQUIRE(::fstatvfs(mount.get(), &status) == 0);
  constexpr unsigned long wanted = ST_RDONLY | ST_NODEV | ST_NOSUID;
  CHECK((status.f_flag & wanted) == wanted);
  CHECK(sys::open_beneath(mount, "new", O_WRONLY | O_CREAT, 0600).error().errno_value == EROFS);
}

}  // namespace

TEST_CASE("a sealed file is mounted as a file where the kernel can", "[image][kernel]") {
  const SealedFile sealed;
  Result<UniqueFd> mount = mount_file(sealed.file);
  if (!mount && mount.error().errno_value == ENOTBLK)
    ORLOP_SKIP("this kernel does not mount files without a loop device");
  check_mount(need(std::move(mount)));
}

TEST_CASE("a sealed file is mounted by a loop device that goes with the mount", "[image][kernel]") {
  const SealedFile sealed;
  check_mount(need(mount_by_loop(sealed.file)));
  check_mount(need(mount_sealed(sealed.file)));
}

TEST_CASE("many mounts at once each find a loop device of their own", "[image][kernel]") {
  // Four processes, since the race is between openers of the same free device; two mounts each fit eight nodes.
  const SealedFile sealed;
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t pid = ::fork();
    need(pid >= 0);
    if (pid == 0) {
      bool good = true;
      for (int round = 0; round < 10; ++round) {
        const Result<UniqueFd> mount = mount_by_loop(sealed.file);
        good = good && mount && read_file(*mount, "f", 100) == std::string("sealed");
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(pid);
  }
  for (const pid_t pid : children) {
    int status = -1;
    need(::waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
  }
}

TEST_CASE("a file that is no EROFS is not mounted", "[image][kernel]") {
  const TemporaryDirectory directory;
  need(replace_file(directory.fd(), "image.erofs", std::string(8192, 'x'), Durability::until_reboot));
  CHECK_FALSE(mount_sealed(need(sys::open_beneath(directory.fd(), "image.erofs", O_RDONLY))));
}
