// What cannot be run says why, in one sentence.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("a command that is not there, is not executable or dies at once is told by its reason",
          "[supervisor][root]") {
  Instance orlop;
  const auto container = [](std::string_view name, std::string_view command) {
    return fmt::format("[container.{}]\nimage = \"BUSYBOX\"\nrestart.policy = \"no\"\ncommand = [{}]\n", name, command);
  };
  need(orlop.apply(container("missing", "\"/no/such\"") + container("unfound", "\"nothing-of-this-name\"") +
                   container("file", "\"/etc/passwd\"") + container("directory", "\"/bin\"") +
                   container("dying", "\"/bin/sh\", \"-c\", \"echo last words >&2; exit 41\"") +
                   container("workdir", "\"/bin/true\"") + "workdir = \"/no/such/place\"\n"));
  const auto reason = [&](const char* name) { return orlop.await(name, "failed").at("reason").get<std::string>(); };
  CHECK_THAT(reason("missing"), StartsWith("cannot start: ") && Contains("/no/such") && Contains("ENOENT"));
  CHECK_THAT(reason("unfound"), StartsWith("cannot start: ") && Contains("nothing-of-this-name"));
  CHECK_THAT(reason("file"), StartsWith("cannot start: ") && Contains("/etc/passwd") && Contains("EACCES"));
  CHECK_THAT(reason("directory"), StartsWith("cannot start: ") && Contains("/bin") && Contains("EACCES"));
  CHECK_THAT(reason("workdir"), StartsWith("cannot start: ") && Contains("/no/such/place"));
  CHECK(reason("dying") == "exited 41");
  CHECK(orlop.log("dying") == "last words\n");
  CHECK(leaves(orlop).empty());
  const Result<void> started = orlop.client().start("missing");
  REQUIRE_FALSE(started);
  CHECK_THAT(text(started.error()), Contains("'missing'") && Contains("/no/such"));
}
