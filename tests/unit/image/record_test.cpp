#include "image/record.hpp"

#include <catch2/catch.hpp>

#include "image/json.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

Record full_record() {
  Record record;
  record.manifest = sha256("manifest");
  record.name = "registry.example.net/gateway/broker:1.2";
  record.config_digest = sha256("config");
  record.seal = sha256("seal");
  record.seal_size = 12_MiB;
  record.entrypoint = {"/usr/sbin/broker"};
  record.command = {"--config", "/etc/broker.conf"};
  record.env = {"PATH=/usr/bin:/bin", "NAME=\"quoted\" é"};
  record.workdir = "/var/lib/broker";
  record.user = Identity{.uid = 101, .gid = 102, .written = "broker:ssl"};
  record.stop_signal = 15;
  record.volumes = {"/var/lib/broker"};
  record.exposed_ports = {"8883/tcp"};
  record.labels = {{"org.opencontainers.image.source", "https://example.net"}};
  record.healthcheck = Healthcheck{.command = {"/bin/sh", "-c", "true"}, .interval = std::chrono::seconds(30)};
  record.users = {{"root", 0, 0}, {"broker", 101, 101}};
  record.groups = {{"root", 0}, {"ssl", 102}};
  record.mount_points = {"/dev", "/proc", "/var/lib/broker"};
  record.report = {{Finding::setuid_inert, 2, {"/bin/su", "/bin/mount"}}};
  return record;
}

// The text of a whole record after `change` to its JSON.
template <class Change>
std::string changed(Change change) {
  Json json = parse_json(to_json(full_record())).value();
  change(json);
  return print_json(json);
}

}  // namespace

TEST_CASE("a record is read back as it was written, full or empty", "[image]") {
  const Result<Record> full = from_json(to_json(full_record()));
  REQUIRE(full);
  CHECK(*full == full_record());
  Record bare;
  bare.name = "bare";
  bare.user_problem = "the image names user 'x'";
  CHECK(from_json(to_json(bare)).value() == bare);
}

TEST_CASE("a record that lacks a key, has a foreign one, or one twice is refused by its name", "[image]") {
  CHECK(sentence(from_json(changed([](Json& j) { j.erase("env"); })).error()).contains("'env' is missing"));
  CHECK(sentence(from_json(changed([](Json& j) { j["extra"] = 1; })).error()).contains("'extra'"));
  CHECK(sentence(from_json(changed([](Json& j) { j["users"][0]["x"] = 1; })).error()).contains("'x'"));
  std::string twice = to_json(full_record());
  twice.insert(1, "\"name\":\"other\",");
  CHECK(sentence(from_json(twice).error()).contains("'name' stands twice"));
}

TEST_CASE("a record's values are checked again, whoever wrote them", "[image]") {
  const auto refused = [](auto change) { return !from_json(changed(change)); };
  CHECK(refused([](Json& j) { j["manifest"] = "00"; }));
  CHECK(refused([](Json& j) { j["name"] = "../x"; }));
  CHECK(refused([](Json& j) { j["workdir"] = "relative"; }));
  CHECK(refused([](Json& j) { j["mount_points"] = {"/a/../b"}; }));
  CHECK(refused([](Json& j) { j["volumes"] = {"/a//b"}; }));
  CHECK(refused([](Json& j) { j["env"] = {std::string("A=\0b", 4)}; }));
  CHECK(refused([](Json& j) { j["user"][0]["uid"] = 65536; }));
  CHECK(refused([](Json& j) { j["stop_signal"] = -1; }));
  CHECK(refused([](Json& j) { j["version"] = 2; }));
  CHECK(refused([](Json& j) { j["report"][0]["finding"] = "unheard_of"; }));
  CHECK(refused([](Json& j) { j = Json::array(); }));
}

TEST_CASE("JSON that is deep, endless, torn or not UTF-8 is refused and costs little", "[image][T47]") {
  CHECK(parse_json(std::string(1'000'000, '[')).error().kind == ErrorKind::limit);
  std::string flood = "[0";
  for (int i = 0; i < 200'000; ++i) flood += ",0";
  CHECK(parse_json(flood + "]").error().kind == ErrorKind::limit);
  CHECK_FALSE(parse_json(""));
  CHECK_FALSE(parse_json("{\"a\":"));
  CHECK_FALSE(parse_json("{} {}"));
  CHECK_FALSE(parse_json("\"\xff\""));
  CHECK(parse_json(R"({"a":{"b":1},"c":{"b":2}})"));
  CHECK_FALSE(parse_json(R"({"a":{"b":1,"b":2}})"));
}
