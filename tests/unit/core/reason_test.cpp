#include "supervisor/core/reason.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace orlop::core;

TEST_CASE("every reason has a name of its own that reads back", "[core]") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < why_count; ++i) {
    const Why why = static_cast<Why>(i);
    CHECK(why_from(to_string(why)) == why);
    names.insert(to_string(why));
  }
  CHECK(names.size() == why_count);
  CHECK_FALSE(why_from("because"));
}

TEST_CASE("a reason reads as an operator expects", "[core]") {
  CHECK(text(reason_of({.code = 0})) == "exited 0");
  CHECK(text(reason_of({.code = 137})) == "exited 137");
  CHECK(text(reason_of({.signal = 11})) == "signal SIGSEGV");
  CHECK(text(reason_of({.signal = 37})) == "signal SIGRTMIN+3");
  CHECK(text({Why::oom, "limit 64MiB, peak 64MiB"}) == "oom (limit 64MiB, peak 64MiB)");
  CHECK(text({Why::oom, ""}) == "oom");
  CHECK(text({Why::unhealthy, ""}) == "unhealthy");
  CHECK(text({Why::stopped, "operator"}) == "stopped by operator");
  CHECK(text({Why::killed, "10s (stopped by operator)"}) == "killed after 10s (stopped by operator)");
  CHECK(text({Why::shutdown, ""}) == "shutdown");
}
