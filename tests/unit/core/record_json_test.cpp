#include "supervisor/core/record_json.hpp"

#include <catch2/catch.hpp>

#include "bench.hpp"

using namespace orlop;
using namespace orlop::core;

namespace {

Record full_record() {
  Record record;
  record.wish = Wish::stop;
  record.phase = Phase::backoff;
  record.since = BootTime(5s);
  record.start = 18'446'744'073'709'551'615u;
  record.launched = wanted(7);
  record.launched.after = {"clock"};
  record.launched.requirements = {"db", "cache"};
  record.launched.health = HealthCheck{.then = Unhealthy::report};
  record.launched.run = Run::on_boot;
  record.launched.restart.policy = Policy::unless_stopped;
  record.began = BootTime(4s);
  record.cause = Why::oom;
  record.reason = {Why::oom, "limit 64MiB, \"peak\" 64MiB\n"};
  record.exit = ExitStatus{.signal = 9};
  record.done = record.again = true;
  record.restarts = 12;
  record.failures = 3;
  record.recent = {BootTime(1s), BootTime(2s)};
  record.wake_at = BootTime(9s);
  record.era = "0b5c/123";
  return record;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("a record reads back as it was written", "[core]") {
  for (const Record& record : {Record{}, full_record()}) {
    const Result<NamedRecord> read = read_record(record_json("web-1", record));
    REQUIRE(read);
    CHECK(read->name == "web-1");
    CHECK(read->record == record);
  }
}

TEST_CASE("a newer record is unsupported, and named as such", "[core]") {
  const Result<NamedRecord> read =
      read_record(replaced(record_json("web", full_record()), "\"version\": 1", "\"version\": 2"));
  REQUIRE_FALSE(read);
  CHECK(read.error().kind == ErrorKind::unsupported);
  CHECK(sentence(read.error()) == "a container's record is of version 2, and this orlop reads version 1");
}

TEST_CASE("a record that orlop did not write so is refused", "[core]") {
  const std::string good = record_json("web", full_record());
  const std::vector<std::string> wrong{
      "",
      "{}",
      "[]",
      "null",
      std::string(100'000, '['),
      good + " ",
      "{\"foreign\": true," + good.substr(1),
      replaced(good, "\"name\": \"web\"", "\"name\": \"../web\""),
      replaced(good, "\"backoff\"", "\"sleeping\""),
      replaced(good, "\"done\": true", "\"done\": 1"),
      replaced(good, "\"restarts\": 12", "\"restarts\": -12"),
      replaced(good, "\"restarts\": 12", "\"restarts\": 1.5"),
      replaced(good, "\"failures\": 3", "\"failures\": 4294967296"),
      replaced(good, "\"start\": 18446744073709551615", "\"start\": 18446744073709551616"),
      replaced(good, "\"wake_at_ns\": 9000000000", "\"wake_at_ns\": 9223372036854775808"),
      replaced(good, "\"version\": 1", "\"version\": 1, \"version\": 1"),
      replaced(good, "\"retries\": 3", "\"retries\": 0"),
      std::string(max_record_bytes + 1, ' ')};
  for (const std::string& bytes : wrong) {
    const Result<NamedRecord> read = read_record(bytes);
    INFO(bytes.substr(0, 200));
    REQUIRE_FALSE(read);
    CHECK(read.error().kind == ErrorKind::corrupt);
  }
}

TEST_CASE("a record torn anywhere is refused", "[core]") {
  const std::string good = record_json("web", full_record());
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_FALSE(read_record(std::string_view(good).substr(0, length)));
}

TEST_CASE("bytes of a program that are no text do not keep a record from being written", "[core]") {
  Record record = full_record();
  record.reason.detail = "\xff\xfe";
  CHECK(read_record(record_json("web", record)));
}
