// PostgreSQL from Debian's package, unchanged, under the defaults: shared memory, semaphores, many processes, and data
// that must not be lost.
#include <signal.h>
#include <catch2/catch.hpp>

#include "tests/kernel/programs/debian_program.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

TEST_CASE("pgbench runs through, and the database is whole after a replacement, a kill of it and kills of orlopd",
          "[programs][root][T66]") {
  if (const std::string reason = no_debian_image("postgresql"); !reason.empty()) ORLOP_SKIP(reason);
  Instance orlop;
  DebianProgram postgresql(orlop, "postgresql");
  const auto rows = [&] {
    return postgresql.client(
        "psql -h 127.0.0.1 -U postgres -Atc 'select count(*), sum(delta) = (select sum(bbalance) "
        "from pgbench_branches) from pgbench_history'");
  };
  postgresql.client("pgbench -h 127.0.0.1 -U postgres --initialize --quiet postgres");
  CHECK_THAT(postgresql.client("pgbench -h 127.0.0.1 -U postgres --client 4 --transactions 250 postgres"),
             Contains("transactions actually processed: 1000/1000") && Contains("failed transactions: 0"));
  CHECK(rows() == "1000|t\n");

  const auto before = orlop.inspect("postgresql");
  orlop.kill_supervisor();
  CHECK(orlop.inspect("postgresql").at("pid") == before.at("pid"));
  CHECK(rows() == "1000|t\n");

  postgresql.replace_with("env = { TZ = \"Europe/Berlin\" }");
  CHECK(rows() == "1000|t\n");
  CHECK_THAT(orlop.log("postgresql"), Contains("database system is shut down"));

  const auto replaced = orlop.inspect("postgresql");
  need(::kill(replaced.at("pid").get<pid_t>(), SIGKILL) == 0);
  orlop.await(
      "postgresql", [&](const auto& seen) { return seen.at("start") != replaced.at("start"); }, "another start");
  postgresql.await_healthy();
  CHECK(rows() == "1000|t\n");
  CHECK_THAT(orlop.log("postgresql"), Contains("automatic recovery in progress"));
}
