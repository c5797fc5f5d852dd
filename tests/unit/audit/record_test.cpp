#include "supervisor/audit/record.hpp"

#include <catch2/catch.hpp>

#include "supervisor/audit/head.hpp"

using namespace orlop;
using namespace orlop::audit;

namespace {

const Record sample{.actor = Client{.uid = 1000, .pid = 42, .executable = "/usr/bin/\x1b[31m\xff\"orlop\""},
                    .what = "container.stop",
                    .object = "container/web",
                    .why = "client",
                    .before = "running",
                    .after = "stopping",
                    .verdict = Verdict::denied,
                    .repeats = 3};

}  // namespace

TEST_CASE("a line names its place, its actor and the line before, in ASCII", "[audit][T76]") {
  const WallTime time = parse_rfc3339("2026-01-31T23:59:59Z").value();
  const Link previous{.seq = 6, .hash = sha256("before")};
  const NextLine next = chain(sample, time, previous).value();
  CHECK(next.link.seq == 7);
  REQUIRE(next.line.ends_with("}\n"));
  const std::string line = next.line.substr(0, next.line.size() - 1);
  CHECK(next.link.hash == sha256(line));
  for (const char c : line) CHECK((c >= 0x20 && c < 0x7f));
  const Entry entry = parse_line(line).value();
  CHECK(entry.seq == 7);
  CHECK(entry.time == time);
  CHECK(entry.prev == previous.hash);
  CHECK(entry.record.actor->executable == "/usr/bin/\x1b[31m\xef\xbf\xbd\"orlop\"");
  CHECK(entry.record.verdict == Verdict::denied);
  CHECK(entry.record.repeats == 3);
  CHECK(entry.record.before == "running");
}

TEST_CASE("what orlop does by itself has orlop as its actor", "[audit]") {
  const NextLine next = chain({.what = "container.start", .object = "container/web"}, wall_now(), {}).value();
  CHECK(next.line.find(R"("actor":"orlop")") != std::string::npos);
  CHECK_FALSE(parse_line(next.line.substr(0, next.line.size() - 1)).value().record.actor);
}

TEST_CASE("a record whose texts are too long is refused", "[audit]") {
  Record record = sample;
  record.why = std::string(max_line_bytes, 'x');
  CHECK(chain(record, wall_now(), {}).error().kind == ErrorKind::limit);
}

TEST_CASE("a line in any other form than its own is no record", "[audit][T76]") {
  const std::string whole = chain(sample, wall_now(), {}).value().line;
  const std::string line = whole.substr(0, whole.size() - 1);
  REQUIRE(parse_line(line));
  CHECK_FALSE(parse_line(""));
  CHECK_FALSE(parse_line("null"));
  CHECK_FALSE(parse_line(whole));
  CHECK_FALSE(parse_line(line + " "));
  CHECK_FALSE(parse_line(line.substr(0, line.size() - 1)));
  CHECK_FALSE(parse_line("{\"seq\":1," + line.substr(1)));
  CHECK_FALSE(parse_line(line.substr(0, line.size() - 1) + ",\"more\":1}"));
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string cut = line;
    cut.erase(i, 1);
    const Result<Entry> entry = parse_line(cut);  // fewer digits or letters are another record; never a crash
    if (entry) CHECK(chain(entry->record, entry->time, {entry->seq - 1, entry->prev}).value().line == cut + "\n");
  }
}

TEST_CASE("a head is read back as written, and nothing else is a head", "[audit]") {
  const Head head{
      .last = {9, sha256("a")}, .file = 3, .offset = 4711, .oldest_file = 2, .before_oldest = {4, sha256("b")}};
  CHECK(parse_head(to_json(head)).value() == head);
  CHECK(parse_head("").error().kind == ErrorKind::corrupt);
  CHECK(parse_head(to_json(head) + " ").error().kind == ErrorKind::corrupt);
  CHECK(parse_head(R"({"version":2})").error().kind == ErrorKind::unsupported);
  Head backwards = head;
  backwards.oldest_file = 4;
  CHECK_FALSE(parse_head(to_json(backwards)));
}

TEST_CASE("only the log's own names are files of the log", "[audit]") {
  CHECK(file_number("audit.12.jsonl") == 12);
  for (const char* name : {"audit.0.jsonl", "audit.01.jsonl", "audit..jsonl", "audit.1.jsonl.new", "audit.-1.jsonl"})
    CHECK_FALSE(file_number(name));
}
