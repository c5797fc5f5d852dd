#include "config/parse.hpp"

#include <sys/resource.h>

#include <csignal>

#include "config/capability.hpp"
#include "config/effective.hpp"
#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;
using namespace std::chrono_literals;

TEST_CASE("a container that names its image alone gets every default, each of them finite", "[config]") {
  const Container web = good_web("");
  CHECK(web.name == "web");
  CHECK(web.image.name == "registry.example.net/gateway/broker");
  CHECK(web.limits == cgroups::Limits{});
  CHECK(web.limits.memory_max == 256_MiB);
  CHECK(web.limits.pids_max == 256);
  CHECK(web.tmpfs.at("/tmp") == Tmpfs{.size = 16_MiB, .mode = 01777});
  CHECK(web.tmpfs.at("/run") == Tmpfs{.size = 16_MiB, .mode = 0755});
  CHECK(web.tmpfs.at("/dev/shm") == Tmpfs{.size = 64_MiB, .mode = 01777});
  CHECK(web.restart == Restart{});
  CHECK(web.log == Log{});
  CHECK(web.allow == Allow{});
  CHECK_FALSE(web.command);
  CHECK_FALSE(web.user);
  CHECK_FALSE(web.health);
}

TEST_CASE("every key of a container reaches its member", "[config]") {
  const Host host = good(R"(
[host]
name    = "edge-0042"
labels  = { site = "berlin", "org.example/group" = "gateways" }
reserve = { memory = "96MiB", cpu = 0.25 }

[volume.readings]

[container.clock]
image = "clock@sha256:aa1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
run   = "once"

[container.broker]
image    = "registry.example.net/gateway/broker@sha256:9b2e4c7d1f0a3b5c6d7e8f901a2b3c4d5e6f708192a3b4c5d6e7f80912a3b4c5"
entrypoint = ["/usr/bin/env"]
command  = ["/usr/sbin/broker", "--config", "/etc/broker.conf"]
user     = "1000:1000"
groups   = [1001, "audio"]
env      = { TZ = "UTC" }
workdir  = "/srv"
hostname = "broker.example.net"
after    = ["clock"]
requires = ["clock"]
resources = { memory = { min = "32MiB", high = "96MiB", max = "128MiB" }, cpu = { weight = 200, min = 0.1, max = 1.5 }, pids = 64, swap = "8MiB" }
cpus     = "0-1"
rlimits  = { nofile = 4096, memlock = "1MiB", stack = { soft = "1MiB", hard = "unlimited" } }
tmpfs    = { "/tmp" = "4MiB", "/cache" = { size = "1GiB", mode = "0700", inodes = 99, exec = true } }
volumes  = { "/var/lib/broker" = { volume = "readings", mode = "rw", exec = true } }
health   = { exec = ["/bin/check"], interval = "10s", timeout = "2s", retries = 5, start_period = "1min" }
restart  = { policy = "on-failure", backoff = { min = "500ms", max = "2min" }, limit = 5, window = "1h" }
stop     = { signal = "SIGINT", grace = "30s" }
init     = true
dev_log  = true
log      = { size = "1MiB", files = 5, rate = "64KiB/s", full = "block" }
allow    = { capabilities = ["CAP_CHOWN", "NET_RAW"], writable_root = "64MiB", root_user = true, cgroup_view = true, host_paths = { "/etc/ssl/certs" = "/etc/ssl/certs" }, best_effort_memory_min = true }
)");
  CHECK(host.name == "edge-0042");
  CHECK(host.labels.at("org.example/group") == "gateways");
  CHECK(host.reserve == Reserve{.memory = 96_MiB, .cpu_millis = 250});
  CHECK(host.volumes.contains("readings"));
  CHECK(host.containers.at("clock").run == Run::once);
  CHECK(host.containers.at("clock").restart.policy == RestartPolicy::no);

  const Container& broker = host.containers.at("broker");
  CHECK(broker.entrypoint == std::vector<std::string>{"/usr/bin/env"});
  CHECK(broker.command->size() == 3);
  CHECK(broker.user == "1000:1000");
  CHECK(broker.groups == std::vector<std::string>{"1001", "audio"});
  CHECK(broker.env.at("TZ") == "UTC");
  CHECK(broker.workdir == "/srv");
  CHECK(broker.hostname == "broker.example.net");
  CHECK(broker.after == std::vector<std::string>{"clock"});
  CHECK(broker.requirements == std::vector<std::string>{"clock"});
  CHECK(broker.limits == cgroups::Limits{.cpu_weight = 200,
                                         .cpu_max_millis = 1500,
                                         .cpu_min_millis = 100,
                                         .memory_max = 128_MiB,
                                         .memory_high = 96_MiB,
                                         .memory_min = 32_MiB,
                                         .swap_max = 8_MiB,
                                         .pids_max = 64,
                                         .cpus = "0-1"});
  CHECK(broker.rlimits.at("nofile") == Rlimit{4096, 4096});
  CHECK(broker.rlimits.at("memlock") == Rlimit{1 << 20, 1 << 20});
  CHECK(broker.rlimits.at("stack") == Rlimit{1 << 20, RLIM_INFINITY});
  CHECK(broker.tmpfs.at("/tmp") == Tmpfs{.size = 4_MiB, .mode = 01777});
  CHECK(broker.tmpfs.at("/cache") == Tmpfs{.size = 1_GiB, .mode = 0700, .inodes = 99, .exec = true});
  CHECK(broker.volumes.at("/var/lib/broker") == VolumeMount{"readings", Access::read_write, true});
  CHECK(broker.health == Health{{"/bin/check"}, 10s, 2s, 5, 1min});
  CHECK(broker.restart == Restart{RestartPolicy::on_failure, 500ms, 2min, 5, 1h});
  CHECK(broker.stop == Stop{SIGINT, 30s});
  CHECK(broker.init);
  CHECK(broker.dev_log);
  CHECK(broker.log == Log{1_MiB, 5, 64_KiB, WhenFull::block});
  CHECK(capability_names(broker.allow.capabilities) == std::vector<std::string>{"CHOWN", "NET_RAW"});
  CHECK(broker.allow.writable_root == 64_MiB);
  CHECK(broker.allow.root_user);
  CHECK(broker.allow.cgroup_view);
  CHECK(broker.allow.host_paths.at("/etc/ssl/certs") == "/etc/ssl/certs");
  CHECK(broker.allow.best_effort_memory_min);
}

TEST_CASE("CPUs are written as a number, in per cent or in thousandths", "[config]") {
  for (const char* written : {"1.5", "\"150%\"", "\"1500m\""})
    CHECK(good_web(std::string("resources.cpu.max = ") + written).limits.cpu_max_millis == 1500);
  CHECK(good_web("resources.cpu.max = 2").limits.cpu_max_millis == 2000);
  CHECK(good_web("resources.cpu.min = 0.001").limits.cpu_min_millis == 1);
}

TEST_CASE("a volume at a standard tmpfs takes its place", "[config]") {
  const Host host =
      good("[volume.scratch]\n" + web("volumes = { \"/tmp\" = { volume = \"scratch\", mode = \"rw\" } }"));
  CHECK_FALSE(host.containers.at("web").tmpfs.contains("/tmp"));
  CHECK(host.containers.at("web").tmpfs.contains("/run"));
}

TEST_CASE("each value keeps the place where it was written, and defaults that of their section", "[config]") {
  const Container web = good_web("  resources.memory.max = \"1GiB\"");
  CHECK(text(web.places.of("resources.memory.max")) == "host.toml:3:26");
  CHECK(web.places.of("resources.memory.max").key == "container.web.resources.memory.max");
  CHECK(web.places.of("resources.pids").line == 1);
  CHECK(web.places.wrote("resources.memory.max"));
  CHECK_FALSE(web.places.wrote("resources.pids"));
}

TEST_CASE("an empty file is a host without containers", "[config]") {
  CHECK(good("") == Host{});
  CHECK(good("# nothing here\n") == Host{});
}

TEST_CASE("the example host files are good", "[config]") {
  for (const char* name : {"/examples/host.toml", "/examples/database.toml"}) {
    std::FILE* file = std::fopen((std::string(SOURCE_DIRECTORY) + name).c_str(), "re");
    REQUIRE(file != nullptr);
    std::string text(64 * 1024, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    REQUIRE(std::fclose(file) == 0);
    INFO(name);
    CHECK_FALSE(good(text).containers.empty());
  }
}
