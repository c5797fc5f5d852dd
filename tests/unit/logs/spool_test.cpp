#include "supervisor/logs/spool.hpp"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include "tests/unit/logs/log_fixture.hpp"

using namespace orlop;
using namespace orlop::logs;
using namespace std::chrono_literals;
using Next = Pumped::Next;

TEST_CASE("what is in the pipe goes to the log, and then nothing wakes the loop until more comes", "[logs]") {
  LogFixture log;
  Spool spool = log.open();
  spool.begin_run(7, log.now);
  log.write("one\ntwo\n");
  const Pumped pumped = spool.pump(log.pipe(), log.now);
  CHECK(pumped.kept_bytes == 8);
  CHECK(pumped.next == Next::readable);
  CHECK(log.bytes() == "one\ntwo\n");
  CHECK(spool.pump(log.pipe(), log.now).next == Next::readable);
}

TEST_CASE("a pipe that nobody can write to any more is reported once it is empty", "[logs]") {
  LogFixture log;
  Spool spool = log.open();
  log.write("last");
  log.pipes.at(0).write.reset();
  CHECK(spool.pump(log.pipe(), log.now).next == Next::closed);
  CHECK(log.bytes() == "last");
}

TEST_CASE("a log never exceeds its size and its number of files, and readers join what rotation cut", "[logs][T37]") {
  LogFixture log;
  const Limits limits{.file_bytes = 4_KiB, .files = 3, .rate_per_second = std::nullopt};
  Spool spool = log.open(limits);
  std::string written;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = "line " + std::to_string(100000 + i) + "\n";
    written += line;
    log.write(line);
    REQUIRE_FALSE(spool.pump(log.pipe(), log.now).trouble);
    log.wait(1ms);
    std::uint64_t total = 0;
    const Source source = log.source();
    REQUIRE(source.streams.at(0).size() <= 3);
    for (const Generation& generation : source.streams.at(0)) {
      struct stat status{};
      REQUIRE(::fstat(generation.log.get(), &status) == 0);
      total += static_cast<std::uint64_t>(status.st_size);
    }
    REQUIRE(total <= 3 * 4096);
  }
  const std::string kept = log.bytes();
  CHECK(kept.size() >= 2 * 4096);
  CHECK(written.ends_with(kept));
  std::size_t whole = 0;
  for (const Line& line : log.lines()) whole += line.log.size() == 12 ? 1 : 0;
  CHECK(whole >= kept.size() / 12);
}

TEST_CASE("single bytes that each come with a time of their own do not let the index outgrow its bound",
          "[logs][T37]") {
  LogFixture log;
  Spool spool = log.open({.file_bytes = 64_KiB, .files = 2});
  for (int i = 0; i < 3000; ++i) {
    log.write("x");
    REQUIRE_FALSE(spool.pump(log.pipe(), log.now).trouble);
    log.wait(20ms);
  }
  const Source source = log.source();
  for (const Generation& generation : source.streams.at(0)) {
    struct stat status{};
    REQUIRE(::fstat(generation.index.get(), &status) == 0);
    CHECK(status.st_size <= 16384 + 64);
  }
}

TEST_CASE("what exceeds the rate is dropped, counted, and told at its place", "[logs][T37]") {
  LogFixture log;
  Spool spool = log.open({.rate_per_second = Bytes{1000}});
  log.write(std::string(999, 'a') + "\n" + std::string(500, 'b'));
  Pumped pumped = spool.pump(log.pipe(), log.now);
  CHECK(pumped.kept_bytes == 1000);
  CHECK(pumped.dropped_bytes == 500);
  CHECK(pumped.next == Next::at);
  log.wait(10ms);
  log.write("ccc");
  pumped = spool.pump(log.pipe(), log.now);
  CHECK(pumped.dropped_bytes == 3);
  log.wait(10ms);
  CHECK(spool.pump(log.pipe(), log.now).next == Next::readable);
  CHECK(log.bytes() == std::string(999, 'a') + "\n<503>");
  log.wait(1s);
  log.write("after\n");
  CHECK(spool.pump(log.pipe(), log.now).kept_bytes == 6);
  CHECK(log.bytes() == std::string(999, 'a') + "\n<503>after\n");
}

TEST_CASE("a stream that blocks leaves its bytes in the pipe and says when to come again", "[logs]") {
  LogFixture log;
  Spool spool = log.open({.rate_per_second = Bytes{1000}, .when_full = WhenFull::block});
  log.write(std::string(1500, 'a'));
  Pumped pumped = spool.pump(log.pipe(), log.now);
  CHECK(pumped.kept_bytes == 1000);
  CHECK(pumped.dropped_bytes == 0);
  REQUIRE(pumped.next == Next::at);
  CHECK(pumped.when == log.now.boot + 250ms);
  log.wait(pumped.when - log.now.boot);
  CHECK(spool.pump(log.pipe(), log.now).kept_bytes == 250);
  log.wait(1s);
  CHECK(spool.pump(log.pipe(), log.now).kept_bytes == 250);
  CHECK(log.bytes() == std::string(1500, 'a'));
}

TEST_CASE("one call moves a bounded number of bytes and asks to be called again", "[logs]") {
  LogFixture log;
  Spool spool = log.open({.rate_per_second = std::nullopt});
  REQUIRE(::fcntl(log.pipe().get(), F_SETPIPE_SZ, 1 << 20) >= 1 << 20);
  log.write(std::string(1 << 20, 'x'));
  const Pumped pumped = spool.pump(log.pipe(), log.now);
  CHECK(pumped.kept_bytes == 256 * 1024);
  CHECK(pumped.next == Next::again);
}

TEST_CASE("at exit what the pipe holds is kept whatever the rate, and EOF is not awaited", "[logs]") {
  LogFixture log;
  Spool spool = log.open({.rate_per_second = Bytes{10}});
  spool.begin_run(1, log.now);
  log.write("a message of the crash\n");
  const Pumped finished = spool.finish(log.pipe(), log.now);  // the test still holds the write end
  CHECK(finished.next == Next::closed);
  CHECK(finished.kept_bytes == 23);
  CHECK(log.bytes() == "a message of the crash\n");
}

TEST_CASE("a successor goes on in the same run without a mark, and begins a new one with a mark", "[logs]") {
  LogFixture log;
  {
    Spool spool = log.open();
    spool.begin_run(4, log.now);
    log.write("half a ");
    spool.pump(log.pipe(), log.now);
  }
  {
    Spool spool = log.open();
    CHECK(spool.start() == 4);
    spool.begin_run(4, log.now);
    log.write("line\nunfinished");
    spool.pump(log.pipe(), log.now);
    spool.begin_run(5, log.now);
    log.write("next\n");
    spool.pump(log.pipe(), log.now);
  }
  const std::vector<Line> lines = log.lines();
  REQUIRE(lines.size() == 3);
  CHECK(lines.at(0).log == "half a line\n");
  CHECK(lines.at(1).log == "unfinished");
  CHECK(lines.at(1).start == 4);
  CHECK(lines.at(1).partial());
  CHECK(lines.at(2).log == "next\n");
  CHECK(lines.at(2).start == 5);
}

TEST_CASE("drops that a killed predecessor had not yet recorded are recorded by its successor", "[logs]") {
  LogFixture log;
  {
    Spool killed = log.open({.rate_per_second = Bytes{100}});
    log.write(std::string(300, 'a'));
    CHECK(killed.pump(log.pipe(), log.now).dropped_bytes == 200);
    CHECK(log.bytes() == std::string(100, 'a'));  // not recorded yet: as after a kill at this place
  }
  Spool spool = log.open();
  log.write("b");
  spool.pump(log.pipe(), log.now);
  CHECK(log.bytes() == std::string(100, 'a') + "<200>b");
}

TEST_CASE("drops stay exact while the scratch file begins again and again", "[logs]") {
  LogFixture log;
  std::uint64_t dropped = 0;
  for (int i = 0; i < 200; ++i) {
    Spool spool = log.open({.rate_per_second = Bytes{1}});
    for (int j = 0; j < 3; ++j) {
      log.write(std::string(50'000, 'a'));
      dropped += spool.pump(log.pipe(), log.now).dropped_bytes;
      log.wait(10ms);
    }
  }
  (void)log.open().finish(log.pipe(), log.now);
  std::uint64_t told = 0;
  std::uint64_t kept = 0;
  for (const Line& line : log.lines()) {
    told += line.dropped_bytes;
    kept += line.log.size();
  }
  CHECK(told == dropped);
  CHECK(told + kept == 200ULL * 3 * 50'000);
  struct stat status{};
  REQUIRE(::fstatat(log.directory.fd().get(), "web/stdout.dropped", &status, 0) == 0);
  CHECK(status.st_size < 2 << 20);
}

TEST_CASE("a rotation that was cut off by a kill is completed by the successor", "[logs]") {
  LogFixture log;
  {
    Spool spool = log.open({.file_bytes = 4_KiB, .rate_per_second = std::nullopt});
    log.write(std::string(4095, 'a') + "\nb\n");
    spool.pump(log.pipe(), log.now);
  }
  // As if killed after the old index said where the stream goes on, and before the log of that generation was there.
  REQUIRE(::unlinkat(log.directory.fd().get(), "web/stdout.2.log", 0) == 0);
  Spool spool = log.open({.file_bytes = 4_KiB, .rate_per_second = std::nullopt});
  log.write("c\n");
  spool.pump(log.pipe(), log.now);
  CHECK(log.bytes() == std::string(4095, 'a') + "\nc\n");
  CHECK(log.source().streams.at(0).size() == 2);
}

TEST_CASE("an index that is torn, lost or of another version is left alone and a new file begun", "[logs]") {
  LogFixture log;
  {
    Spool spool = log.open();
    log.write("old\n");
    spool.pump(log.pipe(), log.now);
  }
  const std::string index = "web/stdout.1.index";
  SECTION("lost") {
    REQUIRE(::unlinkat(log.directory.fd().get(), index.c_str(), 0) == 0);
  }
  SECTION("emptied") {
    const UniqueFd file = sys::open_beneath(log.directory.fd(), index, O_WRONLY | O_TRUNC).value();
  }
  SECTION("another version") {
    const UniqueFd file = sys::open_beneath(log.directory.fd(), index, O_WRONLY).value();
    REQUIRE(::pwrite(file.get(), "\2", 1, 8) == 1);
  }
  Spool spool = log.open();
  log.write("new\n");
  spool.pump(log.pipe(), log.now);
  CHECK(log.bytes().ends_with("new\n"));
  CHECK(*read_file(log.directory.fd(), "web/stdout.1.log", 100) == "old\n");
  CHECK(*read_file(log.directory.fd(), "web/stdout.2.log", 100) == "new\n");
}

TEST_CASE("a torn last record of an index is no record, and the next takes its place", "[logs]") {
  LogFixture log;
  {
    Spool spool = log.open();
    spool.begin_run(1, log.now);
    log.write("one\n");
    spool.pump(log.pipe(), log.now);
  }
  const UniqueFd index = sys::open_beneath(log.directory.fd(), "web/stdout.1.index", O_WRONLY | O_APPEND).value();
  REQUIRE(write_all(index, std::string(17, '\3')));
  log.wait(1min);
  Spool spool = log.open();
  log.write("two\n");
  spool.pump(log.pipe(), log.now);
  const std::vector<Line> lines = log.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines.at(1).time == log.now.wall);
  CHECK(lines.at(1).start == 1);
}
