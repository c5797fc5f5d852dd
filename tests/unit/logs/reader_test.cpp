#include "supervisor/logs/reader.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/logs/log_fixture.hpp"

using namespace orlop;
using namespace orlop::logs;
using namespace std::chrono_literals;

namespace {

// Two runs on both streams, a second between any two lines.
struct TwoRuns : LogFixture {
  TwoRuns() {
    Spool out = open();
    Spool err = open({}, Stream::err);
    const auto say = [&](Spool& spool, std::string_view bytes) {
      wait(1s);
      write(bytes, spool.stream());
      spool.pump(pipe(spool.stream()), now);
    };
    out.begin_run(1, now);
    err.begin_run(1, now);
    say(out, "one\n");
    say(err, "two\n");
    say(out, "three\n");
    out.finish(pipe(), now);
    err.finish(pipe(Stream::err), now);
    out.begin_run(2, now);
    err.begin_run(2, now);
    say(err, "four\n");
    say(out, "five\n");
  }
};

}  // namespace

TEST_CASE("lines of both streams come in order of time, each with its stream and run", "[logs]") {
  TwoRuns log;
  const std::vector<Line> lines = log.lines();
  CHECK(log.bytes() == "one\ntwo\nthree\nfour\nfive\n");
  REQUIRE(lines.size() == 5);
  CHECK(lines.at(1).stream == Stream::err);
  CHECK(lines.at(1).start == 1);
  CHECK(lines.at(3).start == 2);
  CHECK(lines.at(1).time - lines.at(0).time == 1s);
}

TEST_CASE("a query chooses the last lines, lines since a time, and the run before the latest", "[logs]") {
  TwoRuns log;
  CHECK(log.bytes({.last = 2}) == "four\nfive\n");
  CHECK(log.bytes({.last = 0}).empty());
  CHECK(log.bytes({.last = 99}) == "one\ntwo\nthree\nfour\nfive\n");
  CHECK(log.bytes({.since = log.now.wall - 2s}) == "three\nfour\nfive\n");
  CHECK(log.bytes({.previous = true}) == "one\ntwo\nthree\n");
  CHECK(log.bytes({.last = 1, .previous = true}) == "three\n");
}

TEST_CASE("asking for the previous run of a container that ran once is refused", "[logs]") {
  LogFixture log;
  Spool spool = log.open();
  spool.begin_run(1, log.now);
  const Result<Reader> reader = Reader::open(log.source(), {.previous = true});
  REQUIRE_FALSE(reader);
  CHECK(reader.error().kind == ErrorKind::not_found);
}

TEST_CASE("a line of any length comes in pieces of 16 KiB and loses nothing", "[logs][T37]") {
  LogFixture log;
  Spool spool = log.open({.rate_per_second = std::nullopt});
  std::string line;
  for (int i = 0; i < 40; ++i) {
    const std::string part(60'000, static_cast<char>('a' + i % 26));
    line += part;
    log.write(part);
    spool.pump(log.pipe(), log.now);
  }
  line += "\n";
  log.write("\n");
  spool.pump(log.pipe(), log.now);
  CHECK(log.bytes() == line);
  for (const Line& piece : log.lines()) REQUIRE(piece.log.size() <= max_piece_bytes);
  CHECK(log.lines().front().partial());
  CHECK_FALSE(log.lines().back().partial());
}

TEST_CASE("following gives lines as they end, over rotations, and says when it needs newer files", "[logs]") {
  LogFixture log;
  Spool spool = log.open({.file_bytes = 4_KiB, .files = 2, .rate_per_second = std::nullopt});
  Reader reader = Reader::open(log.source(), {.follow = true}).value();
  std::string written;
  std::string seen;
  for (int i = 0; i < 2000; ++i) {
    log.write("half of ");
    spool.pump(log.pipe(), log.now);
    if (i % 3 == 0) {
      while (std::optional<Line> line = reader.next().value()) seen += line->log;
      REQUIRE(seen == written);  // the half line is kept back
    }
    const std::string rest = "line " + std::to_string(i) + "\n";
    written += "half of " + rest;
    log.write(rest);
    spool.pump(log.pipe(), log.now);
    while (std::optional<Line> line = reader.next().value()) seen += line->log;
    if (reader.wants_more()) reader.extend(log.source());
    while (std::optional<Line> line = reader.next().value()) seen += line->log;
    REQUIRE(seen == written);
    log.wait(1ms);
  }
}

TEST_CASE("a lost index costs the time of its lines, not the lines", "[logs]") {
  TwoRuns log;
  const UniqueFd index = sys::open_beneath(log.directory.fd(), "web/stdout.1.index", O_WRONLY).value();
  REQUIRE(::pwrite(index.get(), "garbage", 7, 0) == 7);
  std::size_t count = 0;
  for (const Line& line : log.lines()) count += line.stream == Stream::out ? 1 : 0;
  CHECK(count == 3);
}

TEST_CASE("bytes that a power cut took leave the records behind them harmless", "[logs]") {
  TwoRuns log;
  REQUIRE(::truncate((log.directory.path() + "/web/stdout.1.log").c_str(), 4) == 0);
  CHECK(log.bytes() == "one\ntwo\nfour\n");
  Spool spool = log.open();
  log.write("six\n");
  spool.pump(log.pipe(), log.now);
  CHECK(log.bytes() == "one\ntwo\nfour\nsix\n");
}
