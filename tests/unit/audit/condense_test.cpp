#include "supervisor/audit/condense.hpp"

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "tests/unit/audit/log_fixture.hpp"

using namespace orlop;
using namespace orlop::audit;
using namespace std::chrono_literals;

TEST_CASE("a client's allowed change is always a record of its own", "[audit]") {
  Condenser condenser;
  for (int i = 0; i < 100; ++i) CHECK(condenser.admit(change("container/web"), BootTime(1s)));
  CHECK_FALSE(condenser.next_due());
}

TEST_CASE("repeats of one actor, object and verdict become one record and a count a minute", "[audit][T76]") {
  Condenser condenser;
  CHECK(condenser.admit(refusal(1000, "container/web"), BootTime(1s)));
  CHECK_FALSE(condenser.next_due());
  for (int i = 0; i < 50; ++i) CHECK_FALSE(condenser.admit(refusal(1000, "container/web"), BootTime(2s)));
  CHECK(condenser.admit(refusal(1001, "container/web"), BootTime(2s)));
  CHECK(condenser.admit(refusal(1000, "container/db"), BootTime(2s)));
  CHECK(condenser.next_due() == BootTime(61s));
  CHECK(condenser.due(BootTime(60s)).empty());
  const std::vector<Record> counts = condenser.due(BootTime(61s));
  REQUIRE(counts.size() == 1);
  CHECK(counts.at(0).repeats == 50);
  CHECK(counts.at(0).object == "container/web");
  CHECK(counts.at(0).verdict == Verdict::denied);
  CHECK_FALSE(condenser.next_due());
  CHECK(condenser.admit(refusal(1000, "container/web"), BootTime(62s)));
}

TEST_CASE("a user's refusals are bounded whatever they ask for, and none is lost from the count", "[audit][T76]") {
  Condenser condenser;
  std::uint64_t written = 0;
  for (int i = 0; i < 5000; ++i)
    written += condenser.admit(refusal(1000, fmt::format("container/c{}", i)), BootTime(1s)) ? 1 : 0;
  CHECK(written == Condenser::denials_per_minute);
  CHECK(condenser.admit(refusal(1001, "container/web"), BootTime(1s)));
  const std::vector<Record> counts = condenser.due(BootTime(2min));
  REQUIRE(counts.size() == 1);
  CHECK(counts.at(0).actor->uid == 1000);
  CHECK(counts.at(0).repeats + written == 5000);
}

TEST_CASE("refusals of more users than the table holds are counted together", "[audit][T76]") {
  Condenser condenser;
  std::uint64_t told = 0;
  for (uid_t uid = 1000; uid < 6000; ++uid)
    told += condenser.admit(refusal(uid, "container/web"), BootTime(1s)) ? 1 : 0;
  for (const Record& record : condenser.due(BootTime(2min))) told += record.repeats;
  CHECK(told == 5000);
}
