#include "supervisor/audit/log_files.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/audit/log_fixture.hpp"

using namespace orlop;
using namespace orlop::audit;

namespace {
constexpr Limits small{.file_bytes = 200_KiB, .files = 3, .reserve = 20_KiB};
}

TEST_CASE("what is appended is there after a restart, in one unbroken chain", "[audit]") {
  LogFixture log;
  {
    LogFiles files = log.open();
    log.fill(files, 3);
  }
  LogFiles files = log.open();
  log.fill(files, 2);
  const Verified verified = log.verify();
  CHECK_FALSE(verified.fault);
  CHECK(verified.records == 5);
  CHECK(verified.last == files.head().last);
  CHECK(log.entries().at(4).record.object == "container/c1");
}

TEST_CASE("rotation bounds size and number of files, and the chain goes on from what was rotated away",
          "[audit][T76]") {
  LogFixture log;
  LogFiles files = log.open(small);
  for (int i = 0; i < 40; ++i) {
    Record record = change("container/web");
    record.why = std::string(30'000, 'x');
    REQUIRE(log.append(files, {record, record}));
    REQUIRE_FALSE(log.verify().fault);
  }
  const std::vector<std::string> names = list_directory(log.directory.fd()).value();
  CHECK(names.size() == 3);
  for (std::uint64_t file = files.head().oldest_file; file <= files.head().file; ++file)
    CHECK(log.content(file).size() <= small.file_bytes.count);
  const Verified verified = log.verify();
  CHECK(verified.first_seq > 1);
  CHECK(verified.last.seq == 80);
  LogFiles again = log.open(small);
  log.fill(again, 1);
  CHECK(log.verify().last.seq == 81);
}

TEST_CASE("nobody but root can fill the reserve or push a record out; what found no place is counted", "[audit][T76]") {
  LogFixture log;
  LogFiles files = log.open(small);
  log.fill(files, 1);
  for (int i = 0; i < 100; ++i) {
    Record record = refusal(1000, "container/web");
    record.before = std::string(9'000, 'x');
    REQUIRE(log.append(files, {record}));
  }
  CHECK(files.head().file == 1);
  CHECK(log.content().size() <= small.file_bytes.count - small.reserve.count);
  const std::uint64_t before = files.head().last.seq;
  log.fill(files, 1);
  const std::vector<Entry> entries = log.entries();
  CHECK(entries.front().record.object == "container/c0");
  const Entry& count = entries.at(before);
  CHECK(count.record.what == "audit.full");
  CHECK(count.record.repeats + before - 1 == 100);
  CHECK_FALSE(log.verify().fault);
}

TEST_CASE("a torn last line is cut off, and a record says so", "[audit][T76]") {
  LogFixture log;
  {
    LogFiles files = log.open();
    log.fill(files, 2);
  }
  const std::string whole = log.content();
  log.set_content(whole + "{\"seq\":3,\"ti");
  CHECK_FALSE(log.verify().fault);  // nobody was told of it
  LogFiles files = log.open();
  log.fill(files, 1);
  CHECK_FALSE(log.verify().fault);
  const std::vector<Entry> entries = log.entries();
  REQUIRE(entries.size() == 4);
  CHECK(entries.at(2).record.what == "audit.torn");
  CHECK(entries.at(2).record.before == hex(sha256("{\"seq\":3,\"ti")));
}

TEST_CASE("whole lines beyond the head are taken over", "[audit][T76]") {
  LogFixture log;
  Head before;
  {
    LogFiles files = log.open();
    log.fill(files, 2);
    before = files.head();
    log.fill(files, 2);
  }
  REQUIRE(write_head(log.state.fd(), before));  // as if the power went before the head was replaced
  CHECK(log.verify().beyond_head == 2);
  LogFiles files = log.open();
  CHECK(files.head().last.seq == 4);
  log.fill(files, 1);
  CHECK(log.verify().records == 5);
  CHECK_FALSE(log.verify().fault);
}

TEST_CASE("a log killed before its first head goes on; one whose head was taken is refused", "[audit][T76]") {
  LogFixture log;
  {
    LogFiles files = log.open(small);
    log.fill(files, 2);
  }
  REQUIRE(::unlinkat(log.state.fd().get(), head_name, 0) == 0);
  CHECK(log.open(small).head().last.seq == 2);
  log.set_content(log.content(), 2);
  const Result<LogFiles> refused = LogFiles::open(log.directory.fd(), log.state.fd(), small);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::corrupt);
}

TEST_CASE("where the head names records that are gone, the log goes on and the gap stays visible", "[audit][T76]") {
  LogFixture log;
  {
    LogFiles files = log.open();
    log.fill(files, 4);
  }
  std::vector<std::string> lines = log.lines();
  lines.pop_back();
  log.set_lines(lines);
  LogFiles files = log.open();
  log.fill(files, 1);
  CHECK(log.entries().at(3).record.what == "audit.cut");
  const Verified verified = log.verify();
  REQUIRE(verified.fault);
  CHECK(verified.fault->kind == FaultKind::missing);
  CHECK(verified.fault->seq == 4);
}
