#include "cgroups/interface_file.hpp"

#include <catch2/catch.hpp>

#include "tests/temporary_directory.hpp"

using namespace orlop;
using namespace orlop::cgroups;

TEST_CASE("a number is found behind its whole key only", "[cgroups]") {
  const char* text = "oom 1\noom_kill 22\noom_group_kill 333";
  CHECK(keyed_number(text, "oom") == 1);
  CHECK(keyed_number(text, "oom_kill") == 22);
  CHECK(keyed_number(text, "oom_group_kill") == 333);
  CHECK(keyed_number(text, "kill") == 0);
  CHECK(keyed_number("", "oom") == 0);
}

TEST_CASE("a controller is a whole word of the list", "[cgroups]") {
  CHECK(has_word("cpuset cpu memory", "cpu"));
  CHECK(has_word("cpu", "cpu"));
  CHECK_FALSE(has_word("cpuset memory", "cpu"));
  CHECK_FALSE(has_word("", "cpu"));
}

TEST_CASE("a file of a number is read, one of anything else named", "[cgroups]") {
  const TemporaryDirectory directory;
  REQUIRE(replace_file(directory.fd(), "good", "4096\n", Durability::until_reboot));
  REQUIRE(replace_file(directory.fd(), "bad", "max\n", Durability::until_reboot));
  CHECK(read_number(directory.fd(), "good") == 4096);
  CHECK(read_number(directory.fd(), "bad").error().kind == ErrorKind::corrupt);
}
