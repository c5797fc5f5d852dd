#include "base/file.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.hpp"
#include "tests/temporary_directory.hpp"

using namespace orlop;

namespace {

// The process may open `count` descriptors, as long as this lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t count) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit lower{.rlim_cur = count, .rlim_max = before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
  }
  ~DescriptorLimit() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

// `depth` directories, one in another, the first of them `top`; every thousandth has a file and a second
// directory that holds something.
void make_deep_tree(BorrowedFd directory, const std::string& top, int depth) {
  UniqueFd here = *sys::duplicate(directory);
  for (int level = 0; level < depth; ++level) {
    const std::string name = level == 0 ? top : "d";
    if (::mkdirat(here.get(), name.c_str(), 0700) != 0) FAIL("mkdirat");
    here = *sys::open_beneath(here, name, O_RDONLY | O_DIRECTORY);
    if (level % 1000 != 0) continue;
    REQUIRE(replace_file(here, "file", "x", Durability::until_reboot));
    REQUIRE(make_directory(*make_directory(here, "second", 0700), "inner", 0700));
  }
}

}  // namespace

TEST_CASE("a file is replaced whole, and read back", "[base]") {
  const TemporaryDirectory directory;
  REQUIRE(replace_file(directory.fd(), "state", "one", Durability::power_loss));
  REQUIRE(replace_file(directory.fd(), "state", "two", Durability::until_reboot));
  CHECK(*read_file(directory.fd(), "state", 100) == "two");
  CHECK(*list_directory(directory.fd()) == std::vector<std::string>{"state"});
}

TEST_CASE("a temporary file left by a crash does not stop the next write", "[base]") {
  const TemporaryDirectory directory;
  REQUIRE(replace_file(directory.fd(), ".state.new", "torn", Durability::until_reboot));
  REQUIRE(replace_file(directory.fd(), "state", "whole", Durability::until_reboot));
  CHECK(*read_file(directory.fd(), "state", 100) == "whole");
}

TEST_CASE("a file larger than allowed, a link and a path that leaves the directory are refused", "[base]") {
  const TemporaryDirectory directory;
  REQUIRE(replace_file(directory.fd(), "state", "0123456789", Durability::until_reboot));
  CHECK(read_file(directory.fd(), "state", 9).error().kind == ErrorKind::limit);
  REQUIRE(::symlinkat("state", directory.fd().get(), "link") == 0);
  CHECK_FALSE(read_file(directory.fd(), "link", 100));
  CHECK_FALSE(read_file(directory.fd(), "../etc/passwd", 100'000));
}

TEST_CASE("a tree is removed with all it holds, links not followed", "[base]") {
  const TemporaryDirectory directory;
  Result<UniqueFd> tree = make_directory(directory.fd(), "tree", 0700);
  REQUIRE(tree);
  REQUIRE(make_directory(*tree, "inner", 0700));
  REQUIRE(replace_file(directory.fd(), "kept", "x", Durability::until_reboot));
  REQUIRE(::symlinkat("../kept", tree->get(), "link") == 0);
  REQUIRE(remove_tree(directory.fd(), "tree"));
  REQUIRE(remove_tree(directory.fd(), "tree"));
  CHECK(*list_directory(directory.fd()) == std::vector<std::string>{"kept"});
}

TEST_CASE("a tree deeper than there are descriptors, and than a stack could follow, is removed", "[base]") {
  const TemporaryDirectory directory;
  make_deep_tree(directory.fd(), "tree", 20'000);
  const DescriptorLimit few(64);
  const Result<void> removed = remove_tree(directory.fd(), "tree");
  CHECK(removed);
  CHECK(list_directory(directory.fd())->empty());
}

TEST_CASE("what is not a regular file is refused at once, whether anybody writes to it or not", "[base]") {
  const TemporaryDirectory directory;
  REQUIRE(::mkfifoat(directory.fd().get(), "fifo", 0600) == 0);
  REQUIRE(make_directory(directory.fd(), "directory", 0700));
  CHECK(read_file(directory.fd(), "fifo", 100).error().kind == ErrorKind::corrupt);
  CHECK(read_file(directory.fd(), "directory", 100).error().kind == ErrorKind::corrupt);
}

TEST_CASE("a file of /proc is read whole, though its size is said to be 0", "[base]") {
  CHECK(read_file(*sys::open("/proc/self", O_RDONLY | O_DIRECTORY), "status", 100'000)->starts_with("Name:"));
}
