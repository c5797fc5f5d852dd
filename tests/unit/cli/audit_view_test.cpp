#include "cli/output/audit_view.hpp"

#include <catch2/catch.hpp>

#include "tests/need.hpp"

namespace orlop::cli {
namespace {

audit::Entry entry() {
  audit::Entry entry;
  entry.seq = 7;
  entry.time = need(parse_rfc3339("2026-01-31T12:00:00Z"));
  entry.record.actor = audit::Client{1000, 42, "/usr/bin/busctl"};
  entry.record.what = "container.stop";
  entry.record.object = "container/web";
  entry.record.why = "client";
  return entry;
}

TEST_CASE("a record says when, what, on what, why and who", "[cli]") {
  CHECK(entry_text(entry(), "", {}) ==
        "7 2026-01-31T12:00:00.000000Z allowed container.stop container/web (client) by uid 1000 pid 42 "
        "/usr/bin/busctl\n");
}

TEST_CASE("a record of orlop's own, and one that stands for many, say so", "[cli]") {
  audit::Entry own = entry();
  own.record.actor.reset();
  own.record.why.clear();
  own.record.verdict = audit::Verdict::denied;
  own.record.repeats = 9;
  CHECK(entry_text(own, "", {}) ==
        "7 2026-01-31T12:00:00.000000Z denied container.stop container/web by orlop, 9 times\n");
}

TEST_CASE("a line that is no record is shown, escaped [T37]", "[cli][T37]") {
  CHECK(entry_text(std::nullopt, "\033[2J", {}) == "unreadable: \\x1b[2J\n");
  CHECK(entry_json_line(std::nullopt, "\033[2J") == "{\"unreadable\":\"\\u001b[2J\"}\n");
  CHECK(entry_json_line(entry(), "{\"seq\":7}") == "{\"seq\":7}\n");
}

TEST_CASE("a head is read back as it is printed, and nothing else is", "[cli]") {
  const audit::Link link{7, sha256("line")};
  CHECK(need(parse_link(link_text(link))) == link);
  for (const std::string& wrong : {std::string(), std::string("7"), "7:" + hex(link.hash).substr(1),
                                   ":" + hex(link.hash), "x:" + hex(link.hash), "7:" + hex(link.hash) + "0"}) {
    CAPTURE(wrong);
    const Result<audit::Link> read = parse_link(wrong);
    REQUIRE_FALSE(read);
    CHECK(read.error().kind == ErrorKind::config);
  }
}

TEST_CASE("a whole record gives its head; one with a fault says what, where and how far it is sound", "[cli]") {
  audit::Verified verified{.records = 3, .first_seq = 1, .last = {3, sha256("line")}};
  CHECK(verified_text(verified, {}) == "whole: 3 records, 1 to 3\nhead: " + link_text(verified.last) + "\n");
  CHECK(verified_json(verified).at("whole") == true);
  verified.fault = audit::Fault{audit::FaultKind::changed, 4, "audit.1.jsonl", 4, "its hash is another"};
  CHECK(verified_text(verified, {}) ==
        "audit record is NOT whole\nchanged: its hash is another\n  file: audit.1.jsonl:4\n  record: 4\n"
        "  sound: 3 records before it\n");
  CHECK(verified_json(verified).at("fault").at("record") == 4);
}

}  // namespace
}  // namespace orlop::cli
