#include <catch2/catch.hpp>

#include "tests/unit/audit/log_fixture.hpp"

using namespace orlop;
using namespace orlop::audit;

namespace {

// Nine records in one file.
struct NineRecords : LogFixture {
  NineRecords() {
    LogFiles files = open();
    fill(files, 9);
  }
};

void check_fault(const Verified& verified, FaultKind kind, std::uint64_t seq) {
  REQUIRE(verified.fault);
  INFO(verified.fault->explanation);
  CHECK(to_string(verified.fault->kind) == to_string(kind));
  CHECK(verified.fault->seq == seq);
  CHECK(exit_code(verified) == 1);
}

}  // namespace

TEST_CASE("an untouched log is whole", "[audit][T76]") {
  NineRecords log;
  const Verified verified = log.verify();
  CHECK_FALSE(verified.fault);
  CHECK(verified.records == 9);
  CHECK(exit_code(verified) == 0);
}

TEST_CASE("verify names the first bad record", "[audit][T76]") {
  NineRecords log;
  std::vector<std::string> lines = log.lines();
  SECTION("edited in the middle") {
    lines.at(4).replace(lines.at(4).find("c4"), 2, "c7");
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::changed, 5);
    CHECK(log.verify().fault->line == 5);
  }
  SECTION("edited at the end") {
    lines.at(8).replace(lines.at(8).find("c8"), 2, "c7");
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::changed, 9);
  }
  SECTION("edited at the begin") {
    lines.at(0).replace(lines.at(0).find("c0"), 2, "c7");
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::changed, 1);
  }
  SECTION("deleted") {
    lines.erase(lines.begin() + 4);
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::missing, 5);
  }
  SECTION("deleted at the begin") {
    lines.erase(lines.begin());
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::missing, 1);
  }
  SECTION("moved") {
    std::swap(lines.at(4), lines.at(5));
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::missing, 5);
  }
  SECTION("replayed") {
    lines.insert(lines.begin() + 6, lines.at(2));
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::misplaced, 3);
    CHECK(log.verify().fault->line == 7);
  }
  SECTION("replayed at the end") {
    lines.push_back(lines.at(8));
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::misplaced, 9);
  }
  SECTION("tail cut off") {
    lines.resize(6);
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::cut, 7);
  }
  SECTION("tail cut in the middle of a line") {
    const std::string content = log.content();
    log.set_content(content.substr(0, content.size() - 5));
    check_fault(log.verify(), FaultKind::unreadable, 9);
  }
  SECTION("not a record") {
    lines.at(4) = "nothing happened here\n";
    log.set_lines(lines);
    check_fault(log.verify(), FaultKind::unreadable, 5);
  }
  SECTION("the file is gone") {
    REQUIRE(::unlinkat(log.directory.fd().get(), "audit.1.jsonl", 0) == 0);
    check_fault(log.verify(), FaultKind::cut, 1);
  }
  SECTION("the head is gone") {
    REQUIRE(::unlinkat(log.state.fd().get(), head_name, 0) == 0);
    check_fault(log.verify(), FaultKind::head, 0);
  }
  SECTION("the head is garbage") {
    REQUIRE(replace_file(log.state.fd(), head_name, "{}", Durability::until_reboot));
    check_fault(log.verify(), FaultKind::head, 0);
  }
}

TEST_CASE("a log rewritten whole, head and all, does not hold against a head kept outside", "[audit][T76]") {
  LogFixture log;
  Link outside;
  {
    LogFiles files = log.open();
    log.fill(files, 5);
    outside = files.head().last;
    log.fill(files, 2);
  }
  CHECK_FALSE(log.verify(outside).fault);
  LogFixture forged;
  LogFiles files = forged.open();
  for (int i = 0; i < 7; ++i) REQUIRE(forged.append(files, {change("container/other")}));
  CHECK_FALSE(forged.verify().fault);
  check_fault(forged.verify(outside), FaultKind::changed, 5);
  LogFixture shorter;
  LogFiles few = shorter.open();
  shorter.fill(few, 2);
  check_fault(shorter.verify(outside), FaultKind::cut, 3);
}

TEST_CASE("a rotated file that is missing is named", "[audit][T76]") {
  LogFixture log;
  const Limits limits{.file_bytes = 200_KiB, .files = 4, .reserve = 20_KiB};
  LogFiles files = log.open(limits);
  for (int i = 0; i < 40; ++i) {
    Record record = change("container/web");
    record.why = std::string(30'000, 'x');
    REQUIRE(log.append(files, {record}));
  }
  const Head head = files.head();
  REQUIRE(head.file - head.oldest_file == 3);
  SECTION("the oldest") {
    REQUIRE(::unlinkat(log.directory.fd().get(), file_name(head.oldest_file).c_str(), 0) == 0);
    check_fault(log.verify(), FaultKind::missing, head.before_oldest.seq + 1);
  }
  SECTION("one between") {
    REQUIRE(::unlinkat(log.directory.fd().get(), file_name(head.oldest_file + 1).c_str(), 0) == 0);
    const Verified verified = log.verify();
    REQUIRE(verified.fault);
    CHECK(verified.fault->kind == FaultKind::missing);
    CHECK(verified.fault->file == file_name(head.oldest_file + 1));
  }
}

TEST_CASE("show gives records by number and time, and what is no record too", "[audit]") {
  NineRecords log;
  CHECK(log.entries({.last = 2}).at(0).seq == 8);
  CHECK(log.entries({.since = log.entries().at(6).time}).size() >= 3);
  CHECK(log.entries({.since = wall_now() + std::chrono::hours(1)}).empty());
  std::vector<std::string> lines = log.lines();
  lines.at(4) = "nothing happened here\n";
  log.set_lines(lines);
  std::string odd;
  REQUIRE(show(open_source(log.directory.fd(), log.state.fd()).value(), {},
               [&](const std::optional<Entry>& entry, std::string_view line) {
                 if (!entry) odd = line;
               }));
  CHECK(odd == "nothing happened here");
}

TEST_CASE("an audit log goes to another process as descriptors and a description", "[audit]") {
  NineRecords log;
  Result<Source> source = parse_description(describe(open_source(log.directory.fd(), log.state.fd()).value()));
  REQUIRE(source);
  CHECK(verify(*source).value().records == 9);
  for (const char* meta :
       {"", "{}", R"({"version":1,"files":[1],"head":null})", R"({"version":2,"files":[],"head":null})"})
    CHECK(parse_description({.meta = meta, .fds = {}}).error().kind == ErrorKind::corrupt);
}
