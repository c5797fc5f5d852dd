// The user namespace of an id range, as idmapped mounts need it.
#include <catch2/catch.hpp>

#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "sandbox/id_range.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using namespace orlop::sandbox;

TEST_CASE("the user namespace of a range maps exactly its 65,536 ids, and root of the host is not among them",
          "[id_range][T71]") {
  const Result<UniqueFd> userns = make_userns({first_container_id});
  REQUIRE(userns);
  sys::Pipe pipe = sys::pipe().value();
  const pid_t child = ::fork();
  if (child == 0) {
    if (!sys::setns(*userns, CLONE_NEWUSER)) ::_exit(1);
    for (const char* file : {"/proc/self/uid_map", "/proc/self/gid_map"}) {
      const Result<UniqueFd> map = sys::open(file, O_RDONLY);
      if (!map || !write_all(pipe.write, read_all(*map, 4096).value_or(""))) ::_exit(2);
    }
    ::_exit(0);
  }
  pipe.write.reset();
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  std::string maps = read_all(pipe.read, 4096).value();
  // The reader is inside by now, so the second column is the range as its parent namespace knows it.
  std::string words;
  for (const char c : maps)
    if (c != ' ' || (!words.empty() && words.back() != ' ')) words += c;
  CHECK(words.find("524288 65536\n") != std::string::npos);
  CHECK(std::ranges::count(words, '\n') == 2);
}

TEST_CASE("making a user namespace leaves no process and no descriptor but the one asked for", "[id_range]") {
  const auto open_fds = [] {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return std::distance(begin(entries), end(entries));
  };
  const auto before = open_fds();
  const Result<UniqueFd> userns = make_userns({first_container_id});
  REQUIRE(userns);
  CHECK(open_fds() - before == 1);
  CHECK(::waitpid(-1, nullptr, WNOHANG | __WALL) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("a tmpfs idmapped by a range shows its files as the range's", "[id_range]") {
  const Result<UniqueFd> userns = make_userns({first_container_id});
  REQUIRE(userns);
  const Result<UniqueFd> mount = sys::new_mount("tmpfs", {}, 0);
  REQUIRE(mount);
  const Result<void> mapped = sys::set_mount_attributes(*mount, 0, 0, false, userns->get());
  if (!mapped && mapped.error().errno_value == EINVAL) ORLOP_SKIP("this kernel cannot idmap a tmpfs");
  REQUIRE(mapped);
  struct stat status{};
  REQUIRE(::fstatat(mount->get(), "", &status, AT_EMPTY_PATH) == 0);
  CHECK(status.st_uid == first_container_id);
  CHECK(status.st_gid == first_container_id);
}
