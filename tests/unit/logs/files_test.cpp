#include "supervisor/logs/files.hpp"

#include <catch2/catch.hpp>

#include <unistd.h>

#include "base/file.hpp"
#include "tests/temporary_directory.hpp"

using namespace orlop;
using namespace orlop::logs;

TEST_CASE("only names that the spool writes are generations", "[logs]") {
  const std::vector<std::string> names = {"stdout.10.log", "stdout.2.log",  "stdout.2.index", "stdout.02.log",
                                          "stdout..log",   "stdout.-1.log", "stderr.3.log",   "stdout.1.log.old"};
  CHECK(generations(names, Stream::out) == std::vector<std::uint64_t>{2, 10});
  CHECK(generations(names, Stream::err) == std::vector<std::uint64_t>{3});
}

TEST_CASE("a source goes to another process as descriptors and a description, and comes back the same", "[logs]") {
  const TemporaryDirectory directory;
  const Result<UniqueFd> folder = make_directory(directory.fd(), "web", 0700);
  for (const char* name : {"stdout.4.log", "stdout.4.index", "stderr.1.log", "stderr.1.index", "stderr.9.log"})
    REQUIRE(replace_file(*folder, name, name, Durability::until_reboot));
  Result<Source> source = open_source(directory.fd(), "web");
  REQUIRE(source);
  Description description = describe(std::move(*source));
  CHECK(description.fds.size() == 4);  // a log without its index was being made or removed
  Result<Source> again = parse_description(std::move(description));
  REQUIRE(again);
  CHECK(again->container == "web");
  REQUIRE(again->streams.at(0).size() == 1);
  CHECK(again->streams.at(0).at(0).number == 4);
  CHECK(*read_all(again->streams.at(0).at(0).log, 100) == "stdout.4.log");
  CHECK(*read_all(again->streams.at(1).at(0).index, 100) == "stderr.1.index");
}

TEST_CASE("a container without a log is a source without files", "[logs]") {
  const TemporaryDirectory directory;
  Result<Source> source = open_source(directory.fd(), "web");
  REQUIRE(source);
  CHECK(describe(std::move(*source)).fds.empty());
}

TEST_CASE("a description that is not one, or names descriptors that are not there, is refused", "[logs]") {
  const auto parse = [](const std::string& meta) {
    Description description{.meta = meta, .fds = {}};
    description.fds.emplace_back(::dup(0));
    return parse_description(std::move(description));
  };
  CHECK(parse(R"({"version":1,"container":"a","files":[]})"));
  for (const char* meta :
       {"", "[]", "{}", R"({"version":2,"container":"a","files":[]})", R"({"version":1,"container":"a"})",
        R"({"version":1,"container":"a","files":[{"stream":"stdin","generation":1,"log":0,"index":0}]})",
        R"({"version":1,"container":"a","files":[{"stream":"stdout","generation":1,"log":0,"index":0}]})",
        R"({"version":1,"container":"a","files":[{"stream":"stdout","generation":1,"log":0,"index":7}]})",
        R"({"version":1,"container":"a","files":[{"stream":"stdout","generation":1,"log":-1,"index":0}]})"}) {
    INFO(meta);
    const Result<Source> refused = parse(meta);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::corrupt);
  }
}
