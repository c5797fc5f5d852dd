#include "image/worker/config.hpp"

#include <catch2/catch.hpp>

#include <csignal>

#include "image/json.hpp"
#include "image/worker/manifest.hpp"

using namespace orlop;
using namespace orlop::image;
using Strings = std::vector<std::string>;

namespace {

Result<Config> read(const Json& execution) {
  return parse_config(print_json({{"architecture", architecture()},
                                  {"os", "linux"},
                                  {"config", execution},
                                  {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}}));
}

std::string refusal(const Json& execution) {
  const Result<Config> config = read(execution);
  return config ? "" : sentence(config.error());
}

}  // namespace

TEST_CASE("a config's words about running are read as they are", "[image]") {
  const Result<Config> config = read({{"User", "www-data:adm"},
                                      {"Entrypoint", {"docker-entrypoint.sh"}},
                                      {"Cmd", {"nginx", "-g", "daemon off;"}},
                                      {"Env", {"PATH=/usr/bin", "A=1", "EMPTY=", "A=2"}},
                                      {"WorkingDir", "/srv//www/"},
                                      {"StopSignal", "SIGQUIT"},
                                      {"Volumes", {{"/data", Json::object()}, {"/cache/", Json::object()}}},
                                      {"ExposedPorts", {{"80/tcp", Json::object()}}},
                                      {"Labels", {{"a", "b"}}},
                                      {"OnBuild", nullptr}});
  REQUIRE(config);
  CHECK(config->user == "www-data:adm");
  CHECK(config->entrypoint == Strings{"docker-entrypoint.sh"});
  CHECK(config->command == Strings{"nginx", "-g", "daemon off;"});
  CHECK(config->env == Strings{"PATH=/usr/bin", "A=2", "EMPTY="});
  CHECK(config->workdir == "/srv/www");
  CHECK(config->stop_signal == SIGQUIT);
  CHECK(config->volumes == Strings{"/cache", "/data"});
  CHECK(config->exposed_ports == Strings{"80/tcp"});
  CHECK(config->labels.at("a") == "b");
}

TEST_CASE("an empty config, and one of nulls, say nothing", "[image]") {
  const Result<Config> empty = read(Json::object());
  REQUIRE(empty);
  CHECK(empty->workdir == "/");
  CHECK(empty->stop_signal == 0);
  const Json nulls = {{"Entrypoint", nullptr}, {"Cmd", nullptr},    {"Env", nullptr},
                      {"Volumes", nullptr},    {"Labels", nullptr}, {"WorkingDir", ""}};
  CHECK(read(nulls).value() == *empty);
}

TEST_CASE("a volume, directory or program that could mean a place outside is refused", "[image][T48]") {
  CHECK(refusal({{"Volumes", {{"/../../etc", Json::object()}}}}).contains("'..'"));
  CHECK(refusal({{"Volumes", {{"data", Json::object()}}}}).contains("not absolute"));
  CHECK(refusal({{"Volumes", {{"/", Json::object()}}}}).contains("the root"));
  CHECK(refusal({{"Volumes", {{"/proc/self", Json::object()}}}}).contains("/proc"));
  CHECK(refusal({{"WorkingDir", "/proc/self/fd/7"}}).contains("/proc"));
  CHECK(refusal({{"WorkingDir", "app"}}).contains("not absolute"));
  CHECK(refusal({{"WorkingDir", "/a/../.."}}).contains("'..'"));
  CHECK(refusal({{"Entrypoint", {"./run"}}}).contains("relative"));
  CHECK(refusal({{"Entrypoint", {"../run"}}}).contains("relative"));
  CHECK(refusal({{"Cmd", {"bin/run"}}}).contains("relative"));
  CHECK(refusal({{"Entrypoint", {""}}}).contains("empty program"));
  CHECK(refusal({{"Entrypoint", {"run"}}, {"Cmd", {"./config"}}}).empty());  // an argument
}

TEST_CASE("NUL and line ends in what a process gets are refused", "[image][T48]") {
  CHECK(refusal({{"Env", {"A=b\nC=d"}}}).contains("line end"));
  CHECK(refusal({{"Env", {std::string("A=b\0c", 5)}}}).contains("NUL"));
  CHECK(refusal({{"Cmd", {"a", "b\nc"}}}).contains("line end"));
  CHECK(refusal({{"Cmd", {std::string("a\0b", 3)}}}).contains("NUL"));
  CHECK(refusal({{"Env", {"=x"}}}).contains("NAME=value"));
  CHECK(refusal({{"Env", {"PATH"}}}).contains("NAME=value"));
  CHECK(refusal({{"Env", {"A=" + std::string(200'000, 'x')}}}).contains("131072"));
  CHECK(refusal({{"Env", "A=b"}}).contains("not an array"));
  CHECK(refusal({{"User", 5}}).contains("not a string"));
}

TEST_CASE("a health check is read in each of its forms", "[image]") {
  const auto check = [](const Json& test) {
    return read({{"Healthcheck", {{"Test", test}, {"Interval", 5'000'000'000}}}});
  };
  CHECK(check({"CMD-SHELL", "curl -f x"})->healthcheck->command == Strings{"/bin/sh", "-c", "curl -f x"});
  CHECK(check({"CMD", "curl", "x"})->healthcheck->command == Strings{"curl", "x"});
  CHECK(check({"CMD", "curl"})->healthcheck->interval == std::chrono::seconds(5));
  CHECK(check({"NONE"})->healthcheck->command.empty());
  CHECK_FALSE(check(Json::array())->healthcheck);
  CHECK_FALSE(check({"CMD"}));
  CHECK_FALSE(check({"SHELL", "x"}));
}

TEST_CASE("signals are read as Docker writes them", "[image]") {
  CHECK(parse_signal("SIGTERM") == SIGTERM);
  CHECK(parse_signal("TERM") == SIGTERM);
  CHECK(parse_signal("9") == SIGKILL);
  CHECK(parse_signal("SIGRTMIN+3") == SIGRTMIN + 3);
  for (const std::string_view bad : {"", "0", "65", "-1", "SIGNOPE", "SIGRTMIN+", "SIGRTMIN+99", "term"})
    CHECK_FALSE(parse_signal(bad));
}

TEST_CASE("a config for another machine is refused as such", "[image]") {
  const Result<Config> config =
      parse_config(R"({"architecture":"s390x","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
  REQUIRE_FALSE(config);
  CHECK(config.error().kind == ErrorKind::unsupported);
  CHECK(sentence(config.error()).contains("linux/s390x"));
  CHECK_FALSE(parse_config(R"({"architecture":"amd64","os":"linux"})"));
}
