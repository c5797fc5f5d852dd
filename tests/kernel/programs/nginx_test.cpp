// nginx from Debian's package, unchanged, under the defaults.
#include <catch2/catch.hpp>

#include "tests/kernel/programs/debian_program.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

TEST_CASE("Debian's nginx serves a page on port 80, logs it, and ends by the signal of its image",
          "[programs][root][maturity/H2b]") {
  if (const std::string reason = no_debian_image("nginx"); !reason.empty()) ORLOP_SKIP(reason);
  Instance orlop;
  const DebianProgram nginx(orlop, "nginx");
  const std::string answer = nginx.client("curl --silent --show-error --include \"http://127.0.0.1/?by=client\"");
  CHECK_THAT(answer, Contains("HTTP/1.1 200 OK") && Contains("<h1>Welcome to nginx!</h1>"));
  orlop.await(
      "nginx",
      [&](const auto&) { return orlop.log("nginx").find("\"GET /?by=client HTTP/1.1\" 200 615") != std::string::npos; },
      "the request in its access log");

  need(orlop.client().stop("nginx"));
  CHECK(orlop.await("nginx", "stopped").at("exit_code") == 0);  // SIGQUIT: it finishes what it serves, and then ends
}
