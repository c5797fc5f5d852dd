// The program itself, without a supervisor: its words, exit codes and where they go.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include "base/file.hpp"
#include "cli/output/json.hpp"
#include "tests/need.hpp"
#include "tests/orlop_program.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop::cli {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a verb that is misspelt is answered with the nearest one and exit code 2", "[cli]") {
  const Ended ended = orlop({"stauts"});
  CHECK(ended.code == 2);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, "'stauts' is no verb of orlop"));
  CHECK(has(ended.err, "did you mean 'status'?"));
}

TEST_CASE("a verb of a family that is misspelt is answered with the nearest of that family", "[cli]") {
  const Ended ended = orlop({"image", "improt"});
  CHECK(ended.code == 2);
  CHECK(has(ended.err, "'improt' is no verb of orlop image"));
  CHECK(has(ended.err, "did you mean 'import'?"));
}

TEST_CASE("an option that is misspelt is answered with the nearest one", "[cli]") {
  const Ended ended = orlop({"status", "--jsn"});
  CHECK(ended.code == 2);
  CHECK(has(ended.err, "did you mean '--json'?"));
}

TEST_CASE("a missing verb, argument or value is exit code 2 and names the help", "[cli]") {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"image"},
                                                    {"apply"},
                                                    {"start"},
                                                    {"status", "a", "b"},
                                                    {"--root"},
                                                    {"logs", "a", "-n", "x"}}) {
    const Ended ended = orlop(arguments);
    CAPTURE(arguments, ended.err);
    CHECK(ended.code == 2);
    CHECK(has(ended.err, "--help"));
  }
}

TEST_CASE("help goes to standard output with exit code 0, for the program and for every verb", "[cli]") {
  for (const char* verb : {"", "apply", "check", "status", "ps", "inspect", "logs", "wait", "start", "stop", "restart",
                           "kill", "image", "volume", "audit", "doctor", "shutdown", "version"}) {
    const Ended ended = *verb == '\0' ? orlop({"--help"}) : orlop({verb, "--help"});
    CAPTURE(verb);
    CHECK(ended.code == 0);
    CHECK(has(ended.out, "Usage:"));
    CHECK(ended.err.empty());
  }
}

TEST_CASE("version needs no supervisor", "[cli]") {
  CHECK(orlop({"version"}).out == "orlop " ORLOP_VERSION "\n");
  CHECK(need(parse_json(orlop({"version", "--json"}).out)).at("version") == ORLOP_VERSION);
}

TEST_CASE("without a supervisor a verb says what to start, with exit code 1", "[cli]") {
  const TemporaryDirectory root;
  const Ended ended = orlop({"--root", root.path(), "status"});
  CHECK(ended.code == 1);
  CHECK(ended.out.empty());
  CHECK(has(ended.err, root.path() + "/run/control.sock"));
  CHECK(has(ended.err, "remedy: start orlop"));
}

TEST_CASE("--root is taken before and after the verb", "[cli]") {
  const TemporaryDirectory root;
  CHECK(orlop({"--root", root.path(), "status"}).err == orlop({"status", "--root", root.path()}).err);
  CHECK(orlop({"image", "ls", "--root", root.path() + "/"}).err == orlop({"--root", root.path(), "image", "ls"}).err);
}

TEST_CASE("with --json an error is the one document on standard output", "[cli]") {
  const TemporaryDirectory root;
  const Ended ended = orlop({"--root", root.path(), "status", "--json"});
  CHECK(ended.code == 1);
  CHECK(ended.err.empty());
  const Json error = need(parse_json(ended.out)).at("error");
  CHECK(error.at("kind") == "not_found");
  CHECK(has(error.at("remedy"), "start orlop"));
}

TEST_CASE("check says that a good file is good", "[cli]") {
  const Ended ended = orlop({"check", "-"}, "[host]\nname = \"edge\"\n");
  CHECK(ended.code == 0);
  CHECK(ended.out == "standard input is valid\n");
}

TEST_CASE("check and apply name every mistake of a file by its place, without a supervisor, with exit code 2",
          "[cli]") {
  const TemporaryDirectory root;
  const std::string file = "[container.web]\nimge = \"x\"\n\n[host]\nnme = \"edge\"\n";
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"check", "-"}, {"apply", "-", "--root", root.path()}}) {
    const Ended ended = orlop(arguments, file);
    CAPTURE(ended.err);
    CHECK(ended.code == 2);
    CHECK(has(ended.err, "standard input:2:"));
    CHECK(has(ended.err, "standard input:5:"));
    CHECK(has(ended.err, "nothing was changed"));
    const std::vector<std::string> json_arguments = [&] {
      std::vector<std::string> with = arguments;
      with.emplace_back("--json");
      return with;
    }();
    CHECK(need(parse_json(orlop(json_arguments, file).out)).at("error").at("errors").size() >= 2);
  }
}

TEST_CASE("apply of a good file without a supervisor says what to start", "[cli]") {
  const TemporaryDirectory root;
  const Ended ended = orlop({"apply", "-", "--root", root.path()}, "");
  CHECK(ended.code == 1);
  CHECK(has(ended.err, "start orlop"));
}

TEST_CASE("a host file that is not there is named with the kernel's reason", "[cli]") {
  const Ended ended = orlop({"check", "/nowhere/host.toml"});
  CHECK(ended.code == 2);
  CHECK(has(ended.err, "'/nowhere/host.toml'"));
  CHECK(has(ended.err, "ENOENT"));
}

TEST_CASE("a mistake in a host file cannot act on the terminal [T37]", "[cli][T37]") {
  const Ended ended = orlop({"check", "-"}, "[host]\n\"\\u001b[2J\" = 1\n");
  CHECK(ended.code == 2);
  CHECK_FALSE(has(ended.err, "\033"));
}

TEST_CASE("output that cannot be written is a failure", "[cli]") {
  const UniqueFd full = need(sys::open("/dev/full", O_WRONLY));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(full.get(), 1);
    ::dup2(need(sys::open("/dev/null", O_WRONLY)).get(), 2);
    ::execl(ORLOP, ORLOP, "version", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  need(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 1);
}

TEST_CASE("doctor says what it found as a table and as JSON, and its exit code whether orlop can run", "[cli]") {
  const Ended json = orlop({"doctor", "--json"});
  const Json found = need(parse_json(json.out));
  CHECK(json.code == (found.at("able") == true ? 0 : 1));
  REQUIRE(found.at("findings").size() > 10);
  const Ended table = orlop({"doctor"});
  CHECK(table.code == json.code);
  for (const Json& finding : found.at("findings")) {
    CHECK(has(table.out, std::string(finding.at("what"))));
    CHECK((finding.at("grade") == "ok") == std::string(finding.at("consequence")).empty());
  }
}

}  // namespace
}  // namespace orlop::cli
