// Redis from Debian's package, unchanged, under the defaults.
#include <catch2/catch.hpp>

#include <future>

#include "tests/kernel/programs/debian_program.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

TEST_CASE("redis-benchmark runs through while orlopd is killed, and the data outlives its container",
          "[programs][root][T66]") {
  if (const std::string reason = no_debian_image("redis"); !reason.empty()) ORLOP_SKIP(reason);
  Instance orlop;
  DebianProgram redis(orlop, "redis");
  const auto before = orlop.inspect("redis");
  auto benchmark = std::async(std::launch::async, [pid = before.at("pid").get<pid_t>(), &redis] {
    return redis.client("redis-benchmark -n 30000 -P 4 -t set,get,incr,lpush,lrange_100,zadd,mset --csv");
  });
  for (int i = 0; i < 3; ++i) orlop.kill_supervisor();
  const std::string figures = benchmark.get();
  for (const char* test : {"\"SET\"", "\"GET\"", "\"LRANGE_100 (first 100 elements)\"", "\"MSET (10 keys)\""})
    CHECK_THAT(figures, Contains(test));
  CHECK(orlop.inspect("redis").at("pid") == before.at("pid"));
  CHECK(orlop.inspect("redis").at("restarts") == 0);

  CHECK(redis.client("redis-cli set kept through") == "OK\n");
  CHECK(redis.client("redis-cli bgsave") == "Background saving started\n");  // it forks, within its limits
  redis.replace_with("env = { REVISION = \"2\" }");
  CHECK(redis.client("redis-cli get kept") == "through\n");
}
