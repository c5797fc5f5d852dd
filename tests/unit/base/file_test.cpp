#include "base/file.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/temporary_directory.hpp"

using namespace orlop;

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
