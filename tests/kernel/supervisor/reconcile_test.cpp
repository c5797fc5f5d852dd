// Apply: the machine comes to match the file, or nothing changes at all.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <map>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

namespace {

std::string sleeper(std::string_view name, int seconds = 1000) {
  return fmt::format("[container.{}]\nimage = \"BUSYBOX\"\ncommand = [\"/bin/sleep\", \"{}\"]\nstop.grace = \"0s\"\n",
                     name, seconds);
}

std::map<std::string, std::string> actions(const Result<std::string>& answer) {
  std::map<std::string, std::string> all;
  const nlohmann::json json = nlohmann::json::parse(need(Result<std::string>(answer)));
  for (const nlohmann::json& planned : json.at("plan")) all[planned.at("name")] = planned.at("action");
  return all;
}

using Actions = std::map<std::string, std::string>;

// Everything that an apply could have changed: the applied file, what runs, and each file of the state directory but
// the audit log.
struct Everything {
  std::string effective;
  std::string containers;
  std::string files;

  explicit Everything(const Instance& orlop)
      : effective(need(orlop.client().effective())),
        containers(orlop.status().at("containers").dump(2)),
        files(shell(fmt::format("cd {}/state && find . -path ./audit -prune -o -name '*audit-head*' -o "
                                "-printf '%p %u %m %s\\n' | sort",
                                orlop.root()))
                  .output) {}
  friend bool operator==(const Everything&, const Everything&) = default;
};

void check_nothing_changed(const Everything& before, const Everything& after) {
  CHECK(after.effective == before.effective);
  CHECK(after.containers == before.containers);
  CHECK(after.files == before.files);
}

}  // namespace

TEST_CASE("apply creates, replaces, removes and keeps, and a second time does nothing", "[supervisor][root][D2c]") {
  Instance orlop;
  CHECK(actions(orlop.apply(sleeper("a") + sleeper("b"))) == Actions{{"a", "create"}, {"b", "create"}});
  const nlohmann::json a = orlop.await("a", "running");
  const nlohmann::json b = orlop.await("b", "running");

  CHECK(actions(orlop.apply(sleeper("a") + sleeper("b"))) == Actions{{"a", "keep"}, {"b", "keep"}});
  CHECK(orlop.inspect("a").at("pid") == a.at("pid"));

  const std::string changed = sleeper("b", 2000) + sleeper("c") + sleeper("a");
  CHECK(actions(orlop.apply(changed)) == Actions{{"a", "keep"}, {"b", "replace"}, {"c", "create"}});
  orlop.await(
      "b", [&](const auto& now) { return now.at("state") == "running" && now.at("start") != b.at("start"); },
      "a replacement");
  orlop.await("c", "running");
  CHECK(orlop.inspect("a").at("pid") == a.at("pid"));
  CHECK_FALSE(is_alive(b.at("pid")));

  CHECK(actions(orlop.apply(sleeper("a"))) == Actions{{"a", "keep"}, {"b", "remove"}, {"c", "remove"}});
  await_that([&] { return orlop.status().at("containers").size() == 1; }, "b and c are gone");
  CHECK(orlop.inspect("a").at("pid") == a.at("pid"));
  CHECK(orlop.client().inspect("b").error().kind == ErrorKind::not_found);
}

TEST_CASE("a dry run prints the plan and changes nothing", "[supervisor][root][D2c]") {
  Instance orlop;
  need(orlop.apply(sleeper("a") + sleeper("b")));
  orlop.await("a", "running");
  orlop.await("b", "running");
  const Everything before(orlop);
  const Result<std::string> plan = orlop.apply("[volume.new]\n" + sleeper("a", 5) + sleeper("c"), true);
  CHECK(actions(plan) == Actions{{"a", "replace"}, {"b", "remove"}, {"c", "create"}});
  CHECK(nlohmann::json::parse(*plan).at("dry_run") == true);
  check_nothing_changed(before, Everything(orlop));
}

TEST_CASE("an apply that is refused anywhere changes nothing, and says what to do", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(sleeper("a")));
  orlop.await("a", "running");
  const Everything before(orlop);

  const std::string unknown(64, '0');
  CHECK_THAT(orlop.refusal(sleeper("a", 5) + "[container.x]\nimage = \"ghost@sha256:" + unknown + "\"\n"),
             Contains("container 'x'") && Contains("ghost@sha256:0000") && Contains("orlop image import PATH") &&
                 Contains("host.toml:"));
  CHECK_THAT(orlop.refusal("[volume.v]\n" + sleeper("x") + "volumes = { \"/data\" = { volume = \"v\" } }\n"),
             Contains("/data") && Contains("orlop image import --mkdir /data"));
  CHECK_THAT(orlop.refusal(sleeper("a", 5) + sleeper("x") + "resources.cpu.min = 4096\nresources.cpu.max = 4096\n"),
             Contains("cpu"));
  CHECK_THAT(orlop.refusal(sleeper("a", 5) + "[container.x]\nimag = \"BUSYBOX\"\n"), Contains("image"));
  CHECK_THAT(orlop.refusal("[container.a\n"), Contains("host.toml:1"));
  check_nothing_changed(before, Everything(orlop));
}

TEST_CASE("what a hand stopped is shown by a dry run and undone by an apply", "[supervisor][root][D2c]") {
  Instance orlop;
  need(orlop.apply(sleeper("a")));
  orlop.await("a", "running");
  need(orlop.client().stop("a"));
  CHECK(orlop.inspect("a").at("state") == "stopped");
  CHECK_THAT(orlop.inspect("a").at("reason").get<std::string>(), Contains("operator"));

  const Result<std::string> plan = orlop.apply(sleeper("a"), true);
  CHECK(actions(plan) == Actions{{"a", "create"}});
  CHECK_THAT(*plan, Contains("was stopped by an operator"));
  CHECK(orlop.inspect("a").at("state") == "stopped");

  need(orlop.apply(sleeper("a")));
  orlop.await("a", "running");
}

TEST_CASE("a volume that a host file no longer names keeps its data until it is removed", "[supervisor][root]") {
  Instance orlop;
  const std::string with = "[volume.v]\n" + sleeper("a");
  need(orlop.apply(with));
  CHECK_THAT(text(orlop.client().remove_volume("v").error()), Contains("in the applied host file"));
  need(orlop.apply(sleeper("a")));
  const auto listed = nlohmann::json::parse(need(orlop.client().list_volumes())).at("volumes");
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].at("declared") == false);
  need(orlop.client().remove_volume("v"));
  CHECK(nlohmann::json::parse(need(orlop.client().list_volumes())).at("volumes").empty());
}
