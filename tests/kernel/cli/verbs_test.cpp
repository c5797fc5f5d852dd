// The program against a whole orlop: what each verb does, prints and exits with.
#include <catch2/catch.hpp>

#include "cli/output/json.hpp"
#include "supervisor/audit/record.hpp"
#include "tests/kernel/supervisor/instance.hpp"
#include "tests/orlop_program.hpp"

namespace orlop::cli {
namespace {

using Catch::Matchers::Contains;

// Runs verbs on an instance of the test's own.
class Operator {
 public:
  Ended operator()(std::vector<std::string> arguments, const std::string& input = {}) const {
    arguments.insert(arguments.begin(), {"--root", instance.root()});
    return orlop(std::move(arguments), input);
  }
  /// The document that a verb with --json prints.
  [[nodiscard]] Json json(std::vector<std::string> arguments) const {
    arguments.emplace_back("--json");
    return need(parse_json((*this)(std::move(arguments)).out));
  }
  /// Applies a file in which BUSYBOX stands for the image's reference.
  Ended apply(std::string toml, std::vector<std::string> options = {}) {
    for (std::size_t at = 0; (at = toml.find("BUSYBOX")) != std::string::npos;) toml.replace(at, 7, instance.busybox());
    options.insert(options.begin(), {"apply", "-"});
    return (*this)(std::move(options), toml);
  }

  /// Waits until the container "web" of two_containers has set its trap in as many runs.
  void await_ready(std::size_t runs) const {
    std::string wanted;
    for (std::size_t i = 0; i < runs; ++i) wanted += "ready\n";
    instance.await("web", [&](const auto&) { return instance.log("web") == wanted; }, "its trap set");
  }

  Instance instance;
};

constexpr const char* two_containers = R"(
[volume.data]
[container.web]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"]
volumes = { "/run/data" = { volume = "data" } }
[container.job]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "exit 3"]
restart = { policy = "no" }
)";

TEST_CASE("import prints the reference alone on standard output, in the form that the host file takes", "[cli][root]") {
  Operator orlop;
  const TemporaryDirectory layout;
  need(std::system((ORLOP_SOURCE "/tests/images/busybox-layout " + layout.path() + "/oci").c_str()) == 0);
  const Ended imported = orlop({"image", "import", layout.path() + "/oci", "--name", "shop/web"});
  CAPTURE(imported.err);
  REQUIRE(imported.code == 0);
  REQUIRE_THAT(imported.out, Catch::Matchers::Matches("shop/web@sha256:[0-9a-f]{64}\n"));
  const std::string reference = imported.out.substr(0, imported.out.size() - 1);
  CHECK(orlop.json({"image", "ls"}).at("images").at(0).at("reference") == reference);
  CHECK_THAT(orlop({"image", "inspect", "shop/web"}).out, Contains("reference:  " + reference));
  CHECK(orlop({"image", "rm", reference}).code == 0);
  CHECK(orlop.json({"image", "ls"}).at("images").empty());
}

TEST_CASE("an image that is not there, and a file that is none, are refused in words", "[cli][root]") {
  Operator orlop;
  CHECK(orlop({"image", "import", "/nowhere"}).code == 2);
  const Ended device = orlop({"image", "import", "/dev/null"});
  CHECK(device.code == 2);
  CHECK_THAT(device.err, Contains("neither a directory nor a regular file"));
  const Ended absent = orlop({"image", "inspect", "nothing"});
  CHECK(absent.code == 1);
  CHECK_THAT(absent.err, Contains("nothing"));
}

TEST_CASE("a dry run shows the plan and changes nothing; apply does what it showed", "[cli][root]") {
  Operator orlop;
  const Ended dry = orlop.apply(two_containers, {"--dry-run"});
  CAPTURE(dry.err);
  REQUIRE(dry.code == 0);
  CHECK(dry.out == "+ create job (new)\n+ create web (new)\n");
  CHECK(orlop.json({"status"}).at("containers").empty());
  const Ended done = orlop.apply(two_containers);
  CHECK(done.code == 0);
  CHECK(done.out == dry.out);
  CHECK(done.err.empty());
  orlop.instance.await("web", "running");
  CHECK(orlop.apply("").out.substr(0, 2) == "- ");
}

TEST_CASE("status tells by its exit code how a container is", "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply(two_containers).code == 0);
  orlop.instance.await("web", "running");
  orlop.instance.await("job", "failed");
  CHECK(orlop({"status"}).code == 0);
  CHECK(orlop({"status", "web"}).code == 0);
  CHECK(orlop({"status", "job"}).code == 3);
  const Ended absent = orlop({"ps", "nix"});
  CHECK(absent.code == 4);
  CHECK_THAT(absent.err, Contains("no container 'nix'"));
  CHECK(orlop.json({"status", "nix"}).at("error").at("kind") == "not_found");
  CHECK(orlop.json({"status", "job"}).at("exit_code") == 3);
  CHECK_THAT(orlop({"status"}).out, Contains("NAME") && Contains("web") && Contains("exited 3"));
}

TEST_CASE("inspect for programs has at least what scripts were promised", "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply(two_containers).code == 0);
  orlop.instance.await("web", "running");
  const Json web = orlop.json({"inspect", "web"});
  for (const char* key : {"name", "state", "health", "pid", "started", "restarts", "exit_code", "reason", "image",
                          "limits", "usage", "seccomp"}) {
    CAPTURE(key);
    CHECK(web.contains(key));
  }
  CHECK_THAT(orlop({"inspect", "web"}).out, Contains("state:      running") && Contains("processes:  "));
  CHECK_THAT(orlop({"inspect", "web", "--plan"}).out, Contains("pivot root\n") && Contains("execute /bin/sh"));
  CHECK_THAT(orlop({"inspect", "--effective"}).out, Contains("[container.web]"));
  CHECK(orlop({"inspect"}).code == 2);
}

TEST_CASE("stop, start, restart and kill return when it is done, and print the name", "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply(two_containers).code == 0);
  orlop.await_ready(1);
  const Ended stopped = orlop({"stop", "web"});
  CAPTURE(stopped.err);
  CHECK(stopped.code == 0);
  CHECK(stopped.out == "web\n");
  CHECK(orlop({"status", "web"}).code == 3);
  const Ended waited = orlop({"wait", "web"});
  CHECK(waited.code == 0);
  CHECK(waited.out == "7\n");
  CHECK(orlop({"start", "web"}).code == 0);
  CHECK(orlop({"status", "web"}).code == 0);
  orlop.await_ready(2);
  const auto first = orlop.instance.inspect("web").at("pid");
  CHECK(orlop({"restart", "web"}).code == 0);
  CHECK(orlop.instance.inspect("web").at("pid") != first);
  orlop.await_ready(3);
  CHECK(orlop({"kill", "-s", "TERM", "web"}).code == 0);
  orlop.instance.await("web", [](const auto& seen) { return seen.at("exit_code") == 7; }, "its exit by the signal");
  CHECK(orlop({"kill", "-s", "SIGNOTHING", "web"}).code == 2);
}

TEST_CASE("of several containers each gets its turn, and the worst code counts", "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply(two_containers).code == 0);
  orlop.instance.await("web", "running");
  const Ended ended = orlop({"stop", "nix", "web"});
  CHECK(ended.code == 1);
  CHECK(ended.out == "web\n");
  CHECK_THAT(ended.err, Contains("nix"));
  const Json json = orlop.json({"start", "nix", "web"});
  CHECK(json.at("done") == Json::array({"web"}));
  CHECK(json.at("failed").at(0).at("name") == "nix");
}

TEST_CASE("volumes are listed with who mounts them, and are not removed while the host file names them",
          "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply(two_containers).code == 0);
  CHECK_THAT(orlop({"volume", "ls"}).out, Contains("data") && Contains("web:/run/data"));
  CHECK(orlop.json({"volume", "inspect", "data"}).at("name") == "data");
  CHECK(orlop({"volume", "rm", "data"}).code == 1);
  REQUIRE(orlop.apply("").code == 0);
  const BootTime deadline = BootClock::now() + std::chrono::seconds(20);
  while (!orlop.json({"status"}).at("containers").empty() && BootClock::now() < deadline) {
  }
  const Ended removed = orlop({"volume", "rm", "data"});
  CAPTURE(removed.err);
  CHECK(removed.code == 0);
  CHECK(orlop.json({"volume", "ls"}).at("volumes").empty());
}

TEST_CASE("the audit record names who did what, is whole, and is not when a line is edited", "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply("").code == 0);
  CHECK_THAT(orlop({"audit", "show"}).out, Contains("host.apply") && Contains("by uid 0"));
  const Ended verified = orlop({"audit", "verify"});
  CAPTURE(verified.out, verified.err);
  CHECK(verified.code == 0);
  const std::string head = orlop.json({"audit", "verify"}).at("head");
  REQUIRE(orlop.apply("[host]\nname = \"edge\"\n").code == 0);
  CHECK(orlop({"audit", "verify", "--head", head}).code == 0);
  std::string other = head;
  other.back() = other.back() == '0' ? '1' : '0';
  CHECK(orlop({"audit", "verify", "--head", other}).code == 1);
  CHECK(orlop({"audit", "verify", "--head", "7"}).code == 2);
  const std::string last = orlop({"audit", "show", "-n", "1", "--json"}).out;
  CHECK(need(audit::parse_line(std::string_view(last).substr(0, last.size() - 1))).record.what == "host.apply");
}

TEST_CASE("a host file whose image is not there is refused with its place and exit code 2, and nothing changes",
          "[cli][root]") {
  Operator orlop;
  const std::string file =
      "[container.web]\nimage = \"x@sha256:" + std::string(64, '0') + "\"\ncommand = [\"/bin/true\"]\n";
  const Ended refused = orlop({"apply", "-"}, file);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, Contains("standard input:2:") && Contains("orlop image import"));
  CHECK(orlop.json({"status"}).at("containers").empty());
}

TEST_CASE("shutdown ends the containers, orlopd and orlop-init", "[cli][root]") {
  Operator orlop;
  REQUIRE(orlop.apply(two_containers).code == 0);
  const pid_t pid = orlop.instance.await("web", "running").at("pid");
  CHECK(orlop({"shutdown"}).code == 0);
  CHECK(::kill(pid, 0) != 0);
}

}  // namespace
}  // namespace orlop::cli
