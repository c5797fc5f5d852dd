#include "config/effective.hpp"

#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;

namespace {

constexpr std::string_view everything = R"(
[host]
name = "edge"
labels = { site = "Köln \"west\"\n" }
[volume.a]
[volume.b]
[container.one]
image = "one:1.0@sha256:aa1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
run = "once"
[container.two]
image = "two@sha256:bb1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
command = ["/bin/two", "\\ \u0001 ü", ""]
entrypoint = []
env = { "A.B" = "'", LONG = """
two
lines""" }
user = "redis"
groups = [7, "audio"]
requires = ["one"]
cpus = "0,2-3"
resources = { memory = { high = "100MiB" }, cpu = { max = 0.015 } }
rlimits = { nofile = "unlimited", cpu = { soft = 1, hard = 2 } }
tmpfs = { "/tmp" = { mode = "0700" }, "/a/b" = "7KiB" }
volumes = { "/x" = { volume = "a" }, "/run" = { volume = "b", mode = "rw" } }
health = { exec = [] }
stop = { signal = "RTMIN+3", grace = "1500ms" }
allow = { capabilities = ["KILL"], writable_root = "1MiB", host_paths = { "/certs" = "/etc/ssl" } }
)";

}  // namespace

TEST_CASE("the effective print of a host reads back as the same host", "[config]") {
  for (const std::string& file : {std::string(), web(""), std::string(everything)}) {
    const Host host = good(file);
    const std::string printed = effective_toml(host);
    INFO(printed);
    CHECK(good(printed) == host);
    CHECK(effective_toml(good(printed)) == printed);
  }
}

TEST_CASE("the effective print shows the defaults that the file leaves out", "[config]") {
  const std::string printed = effective_toml(good(web("")));
  for (const char* line :
       {"reserve.memory = \"128MiB\"\n", "reserve.cpu = 0.100\n", "\n[container.web]\n",
        "resources.memory.max = \"256MiB\"\n", "resources.pids = 256\n", "restart.policy = \"always\"\n",
        "tmpfs.\"/tmp\" = { size = \"16MiB\", mode = \"1777\", inodes = 4096, exec = false }\n",
        "log.rate = \"1MiB/s\"\n"})
    CHECK_THAT(printed, Catch::Contains(line));
}

TEST_CASE("a container's digest depends on what its section says, not on how it is written", "[config]") {
  const Sha256 plain = digest(good_web("groups = [1, 2]\nenv = { A = \"1\", B = \"2\" }"));
  CHECK(digest(good_web("env.B = \"2\" # b\nenv.A = '1'\ngroups = [2, 1]")) == plain);
  CHECK(digest(good_web("groups = [1, 2]\nenv = { A = \"1\", B = \"2\" }\nresources.memory.max = \"262144KiB\"")) ==
        plain);
  CHECK(digest(good_web("groups = [1, 2]\nenv = { A = \"1\", B = \"3\" }")) != plain);
  CHECK(digest(good_web("groups = [1, 2]\nenv = { A = \"1\", B = \"2\" }\ninit = true")) != plain);
}
