#include "config/resolve.hpp"

#include <sys/resource.h>

#include <csignal>

#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;
using namespace std::chrono_literals;
using Catch::Contains;
using Strings = std::vector<std::string>;

namespace {

image::Record record() {
  image::Record out;
  out.name = "broker";
  out.entrypoint = {"/usr/bin/broker"};
  out.command = {"--default"};
  out.env = {"PATH=/usr/bin", "LANG=C"};
  out.workdir = "/srv";
  out.user = image::Identity{101, 102, "broker"};
  out.users = {{"root", 0, 0}, {"broker", 101, 102}, {"redis", 103, 104}};
  out.groups = {{"root", 0}, {"broker", 102}, {"audio", 29}};
  out.mount_points = {"/data", "/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/run", "/tmp"};
  return out;
}

sandbox::Spec resolved(std::string_view keys, const image::Record& of = record()) {
  INFO(keys);
  const auto spec = resolve(good("[volume.v]\n" + web(keys)).containers.at("web"), of);
  if (!spec) UNSCOPED_INFO(text(spec.error()));
  REQUIRE(spec);
  return *spec;
}

std::string refusal(std::string_view keys, const image::Record& of = record()) {
  INFO(keys);
  const auto spec = resolve(good("[volume.v]\n" + web(keys)).containers.at("web"), of);
  REQUIRE_FALSE(spec);
  REQUIRE(spec.error().place);
  return text(spec.error());
}

sandbox::Rlimit limit(const sandbox::Spec& spec, int resource) {
  return spec.rlimits.at(static_cast<std::size_t>(resource));
}

}  // namespace

TEST_CASE("entrypoint and command count as in Docker", "[config]") {
  CHECK(resolved("").argv == Strings{"/usr/bin/broker", "--default"});
  CHECK(resolved("command = [\"-v\"]").argv == Strings{"/usr/bin/broker", "-v"});
  CHECK(resolved("command = []").argv == Strings{"/usr/bin/broker"});
  CHECK(resolved("entrypoint = [\"/bin/sh\"]").argv == Strings{"/bin/sh"});
  CHECK(resolved("entrypoint = [\"sh\"]\ncommand = [\"-c\", \"\"]").argv == Strings{"sh", "-c", ""});
  CHECK_THAT(refusal("entrypoint = []"), Contains("nothing to run"));
  CHECK_THAT(refusal("entrypoint = [\"bin/sh\"]"), Contains("does not start at the root"));
}

TEST_CASE("the file's user wins over the image's, and names are those of the image", "[config]") {
  const auto ids = [](const sandbox::Spec& spec) { return std::pair(spec.uid, spec.gid); };
  CHECK(ids(resolved("")) == std::pair(101U, 102U));
  CHECK(ids(resolved("user = \"5:6\"")) == std::pair(5U, 6U));
  CHECK(ids(resolved("user = \"redis\"")) == std::pair(103U, 104U));
  CHECK(ids(resolved("user = \"103\"")) == std::pair(103U, 104U));
  CHECK(ids(resolved("user = \"redis:audio\"")) == std::pair(103U, 29U));
  CHECK_THAT(refusal("user = \"nobody\""), Contains("user 'nobody', which the image does not have"));
  CHECK_THAT(refusal("user = \"5\""), Contains("write user = \"5:GID\""));
  CHECK_THAT(refusal("user = \"redis:wheel\""), Contains("group 'wheel'"));
}

TEST_CASE("root inside is refused unless allow.root_user says so", "[config]") {
  image::Record nobody = record();
  nobody.user.reset();
  image::Record root = record();
  root.user = image::Identity{0, 0, "root"};
  CHECK_THAT(refusal("", nobody),
             Contains("neither the file nor the image names a user") && Contains("allow.root_user"));
  CHECK_THAT(refusal("", root), Contains("the image says user 'root'"));
  CHECK_THAT(refusal("user = \"0:5\""), Contains("the file says user '0:5'") && Contains("host.toml:4:8"));
  CHECK_THAT(refusal("user = \"root\""), Contains("would run as root"));
  CHECK(resolved("allow.root_user = true", nobody).uid == 0);
  CHECK(resolved("allow.root_user = true", root).uid == 0);
  image::Record unclear = record();
  unclear.user.reset();
  unclear.user_problem = "the image names user 'x', which its /etc/passwd lacks";
  CHECK_THAT(refusal("allow.root_user = true", unclear), Contains("the image names user 'x'"));
}

TEST_CASE("the environment is the image's with the file's laid over it, and has a PATH", "[config]") {
  CHECK(resolved("env = { LANG = \"de\", X = \"a=b\" }").env == Strings{"LANG=de", "PATH=/usr/bin", "X=a=b"});
  image::Record bare = record();
  bare.env.clear();
  CHECK(resolved("", bare).env == Strings{std::string(defaults::path)});
}

TEST_CASE("all sixteen resource limits are set", "[config]") {
  const sandbox::Spec spec = resolved("resources.pids = 64\nrlimits = { nofile = { soft = 7, hard = 9 } }");
  REQUIRE(spec.rlimits.size() == 16);
  for (int i = 0; i < 16; ++i) CHECK(limit(spec, i).resource == i);
  CHECK(limit(spec, RLIMIT_NOFILE) == sandbox::Rlimit{RLIMIT_NOFILE, 7, 9});
  CHECK(limit(spec, RLIMIT_CORE) == sandbox::Rlimit{RLIMIT_CORE, 1, 1});
  CHECK(limit(spec, RLIMIT_NPROC) == sandbox::Rlimit{RLIMIT_NPROC, 64, 64});
  CHECK(limit(spec, RLIMIT_SIGPENDING) == sandbox::Rlimit{RLIMIT_SIGPENDING, 64, 64});
  CHECK(limit(spec, RLIMIT_MEMLOCK).hard == 64 * 1024);
  for (const int none : {RLIMIT_MSGQUEUE, RLIMIT_RTPRIO, RLIMIT_NICE}) CHECK(limit(spec, none).hard == 0);
  CHECK(limit(spec, RLIMIT_AS).hard == RLIM_INFINITY);

  const auto few = resolve(good_web(""), record(), {.open_files = 512});
  REQUIRE(few);
  CHECK(limit(*few, RLIMIT_NOFILE) == sandbox::Rlimit{RLIMIT_NOFILE, 512, 512});
  CHECK(limit(resolved(""), RLIMIT_NOFILE) == sandbox::Rlimit{RLIMIT_NOFILE, 1024, 65536});
}

TEST_CASE("mounts come with their defaults, parents before what is inside them", "[config]") {
  const sandbox::Spec spec = resolved(
      "tmpfs = { \"/run/a/b\" = \"1MiB\", \"/run/a\" = \"2MiB\" }\nvolumes = { \"/run/v\" = { volume = \"v\", mode = "
      "\"rw\" }, "
      "\"/data\" = { volume = \"v\" } }\nallow.host_paths = { \"/etc/hosts\" = \"/etc/hosts\" }");
  Strings tmpfs;
  for (const sandbox::Tmpfs& mount : spec.tmpfs) tmpfs.push_back(mount.target);
  CHECK(tmpfs == Strings{"/dev/shm", "/run", "/run/a", "/run/a/b", "/tmp"});
  CHECK(spec.tmpfs.back() == sandbox::Tmpfs{"/tmp", 16_MiB, 4096, 01777, false});
  using Kind = sandbox::Bind::Kind;
  CHECK(spec.binds == std::vector<sandbox::Bind>{{"/data", Kind::volume, "v", false, false},
                                                 {"/etc/hosts", Kind::host_path, "/etc/hosts", false, false},
                                                 {"/run/v", Kind::volume, "v", true, false}});
}

TEST_CASE("a directory that the image has can be mounted on, although sealing did not make it", "[config]") {
  const config::Container container =
      good("[volume.v]\n" + web("volumes = { \"/var/lib/x\" = { volume = \"v\" } }")).containers.at("web");
  const auto holds = [](const std::string& target) { return target == "/var/lib/x"; };
  const auto spec = resolve(container, record(), {}, holds);
  REQUIRE(spec);
  CHECK(spec->binds.at(0).target == "/var/lib/x");
}

TEST_CASE("a mount target that the image lacks is refused with the remedy", "[config]") {
  CHECK_THAT(refusal("volumes = { \"/var/lib/x\" = { volume = \"v\" } }"),
             Contains("mounts at /var/lib/x") && Contains("orlop image import --mkdir /var/lib/x PATH"));
  CHECK_THAT(refusal("tmpfs = { \"/cache\" = \"1MiB\" }"), Contains("--mkdir /cache"));
  CHECK_THAT(refusal("tmpfs = { \"/runner\" = \"1MiB\" }"), Contains("--mkdir /runner"));
  CHECK_THAT(refusal("volumes = { \"/etc/hosts\" = { volume = \"v\" } }"), Contains("which is a file"));
}

TEST_CASE("groups are numbers in the end, and only those of the file", "[config]") {
  CHECK(resolved("groups = [1001, \"audio\", 29]").groups == std::vector<gid_t>{29, 1001});
  CHECK(resolved("").groups.empty());
  CHECK_THAT(refusal("groups = [\"video\"]"), Contains("group 'video'"));
}

TEST_CASE("arguments and environment beyond 128 KiB are refused", "[config]") {
  const std::string large(max_vector_bytes, 'x');
  CHECK_THAT(refusal("command = [\"" + large + "\"]"), Contains("bytes of arguments"));
  CHECK_THAT(refusal("env = { X = \"" + large + "\" }"), Contains("bytes of environment"));
}

TEST_CASE("what is loosened reaches the spec, and a NET_ capability gets a network of its own", "[config]") {
  const sandbox::Spec loose = resolved(
      "init = true\ndev_log = true\nhostname = \"h\"\nworkdir = \"/\"\nallow = { capabilities = [\"NET_RAW\"], "
      "writable_root = "
      "\"1MiB\", cgroup_view = true }");
  CHECK(loose.capabilities == 1ULL << 13);
  CHECK(loose.own_network);
  CHECK(loose.writable_root == 1_MiB);
  CHECK(loose.cgroup_view);
  CHECK(loose.init);
  CHECK(loose.dev_log);
  CHECK(loose.hostname == "h");
  CHECK(loose.workdir == "/");
  const sandbox::Spec strict = resolved("");
  CHECK(strict.capabilities == 0);
  CHECK_FALSE(strict.own_network);
  CHECK(strict.hostname == "web");
  CHECK(strict.workdir == "/srv");
}

TEST_CASE("health check and stop signal of the image count where the file is silent", "[config]") {
  image::Record of = record();
  CHECK_FALSE(health_check(good_web(""), of));
  CHECK(stop_signal(good_web(""), of) == SIGTERM);
  of.healthcheck = image::Healthcheck{.command = {"/bin/check"}, .interval = 5s};
  of.stop_signal = SIGQUIT;
  CHECK(health_check(good_web(""), of) == Health{.exec = {"/bin/check"}, .interval = 5s});
  CHECK(stop_signal(good_web(""), of) == SIGQUIT);
  CHECK(health_check(good_web("health = { exec = [\"/a\"] }"), of) == Health{.exec = {"/a"}});
  CHECK_FALSE(health_check(good_web("health = { exec = [] }"), of));
  CHECK(stop_signal(good_web("stop.signal = \"INT\""), of) == SIGINT);
}
