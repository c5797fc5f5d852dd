// Each loosening that a host file names gives what it says, and nothing else.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

constexpr const char* no_capabilities = "CapEff:\t0000000000000000";

std::string container(std::string_view script, std::string_view more) {
  return fmt::format(
      "[container.probe]\nimage = \"BUSYBOX\"\ncommand = [\"/bin/sh\", \"-c\", '''{}''']\nstop.grace = \"0s\"\n{}\n",
      script, more);
}

// What `script` prints in a container with `more` in its section, which runs on afterwards.
struct Probe {
  Probe(Instance& orlop, std::string_view script, std::string_view more) {
    const nlohmann::json before = nlohmann::json::parse(need(orlop.client().status())).at("containers");
    const std::uint64_t start = before.empty() ? 0 : before[0].at("start").get<std::uint64_t>();
    need(orlop.apply(container(fmt::format("exec 2>&1\n{}\necho over; exec sleep 1000", script), more)));
    seen = orlop.await(
        "probe", [&](const auto& now) { return now.at("state") == "running" && now.at("start") > start; }, "its start");
    said = orlop.await_log("probe", "over\n", seen.at("start"));
    pid = seen.at("pid");
  }
  std::string said;
  nlohmann::json seen;
  pid_t pid = 0;
};

}  // namespace

TEST_CASE("allow.writable_root: the root takes writes up to its size, and every start begins with the sealed image",
          "[supervisor][root]") {
  Instance orlop;
  const Probe probe(orlop,
                    "ls /new; id -u; : >/new && echo wrote; rm /bin/vi && echo removed; dd if=/dev/zero "
                    "of=/bin/big bs=1M count=20",
                    "allow.writable_root = \"8MiB\"\nallow.root_user = true\nuser = \"0:0\"");
  CHECK_THAT(probe.said, Contains("wrote\nremoved\n") && Contains("No space left on device"));
  need(orlop.client().restart("probe"));
  const std::string again = orlop.await_log("probe", "over\n", orlop.inspect("probe").at("start"));
  CHECK_THAT(again, Contains("ls: /new: No such file") && Contains("wrote\nremoved\n"));
  CHECK(probe.seen.at("loosened") == nlohmann::json({"allow.writable_root 8MiB", "allow.root_user"}));
}

TEST_CASE("allow.root_user: it is 0 inside, an id of its own outside, and has no capability", "[supervisor][root]") {
  Instance orlop;
  CHECK_THAT(orlop.refusal(container("id", "user = \"0:0\"")),
             Contains("would run as root") && Contains("allow.root_user"));
  const Probe probe(orlop, "id -u; grep Cap /proc/self/status; chown 1 /tmp; echo x >/etc/passwd",
                    "allow.root_user = true\nuser = \"0:0\"");
  CHECK_THAT(probe.said, StartsWith("0\n") && Contains(no_capabilities) &&
                             Contains("chown: /tmp: Operation not permitted") && Contains("Read-only file system"));
  CHECK(proc_status(probe.pid, "Uid").starts_with(fmt::format("{}\t", probe.seen.at("ids").at("first").get<int>())));
  CHECK(probe.seen.at("ids").at("first") >= 65536);
}

TEST_CASE("allow.capabilities: just these, inside its own user namespace, and a network capability has its own network",
          "[supervisor][root][cis/5.3]") {
  Instance orlop;
  const Probe bind(orlop,
                   "grep Cap /proc/self/status; nc -l -p 80 & sleep 0.2; netstat -ltn; ip link add d0 type dummy",
                   "allow.capabilities = [\"NET_BIND_SERVICE\"]");
  CHECK_THAT(bind.said,
             Contains("CapEff:\t0000000000000400") && Contains("CapBnd:\t0000000000000400") && Contains(":80 "));
  CHECK_THAT(bind.said, Contains("ip: RTNETLINK answers: Operation not permitted"));
  const Probe admin(
      orlop, "grep CapEff /proc/self/status; ip addr add 10.99.0.1/24 dev lo && ip addr show lo; mount -t tmpfs t /tmp",
      "allow.capabilities = [\"NET_ADMIN\"]");
  CHECK_THAT(admin.said,
             Contains("CapEff:\t0000000000001000") && Contains("10.99.0.1/24") && Contains("mount: permission denied"));
  CHECK_THAT(orlop.refusal(container("id", "allow.capabilities = [\"SYS_ADMIN\"]")), Contains("SYS_ADMIN"));
  CHECK_THAT(orlop.refusal(container("id", "allow.capabilities = [\"SYS_MODULE\"]")), Contains("SYS_MODULE"));
}

TEST_CASE("allow.host_paths: a directory of the host, read-only", "[supervisor][root][cis/5.12]") {
  const TemporaryDirectory host;
  need(shell(fmt::format("chmod 755 {0}; echo from the host >{0}/file; chmod 666 {0}/file; ln -s /etc/shadow {0}/out",
                         host.path()))
           .exit_code == 0);
  Instance orlop;
  const Probe probe(
      orlop, "cat /run/seen/file; echo x >/run/seen/file; cat /run/seen/out; grep ' /run/seen ' /proc/self/mountinfo",
      fmt::format("allow.host_paths = {{ \"/run/seen\" = \"{}\" }}", host.path()));
  CHECK_THAT(probe.said, Contains("from the host\n") && Contains("Read-only file system"));
  CHECK_THAT(probe.said, Contains(" ro,nosuid,nodev,noexec"));
  CHECK(read_text(host.path() + "/file") == "from the host\n");
}

TEST_CASE("init = true: a reaper is PID 1, the command is its child, and orphans are reaped",
          "[supervisor][root][T38]") {
  Instance orlop;
  const Probe probe(orlop,
                    "echo pid $$; i=0; while [ $i -lt 40 ]; do (sleep 0.01 &); i=$((i+1)); done; sleep 0.5; "
                    "echo zombies $(grep -l '^State:.Z' /proc/[0-9]*/status | wc -l)",
                    "init = true");
  CHECK_THAT(probe.said, !Contains("pid 1\n") && Contains("zombies 0\n"));
  need(orlop.client().stop("probe"));
  CHECK(contained(orlop).empty());
}

TEST_CASE("init = true: the command's exit code is the container's", "[supervisor][root]") {
  Instance orlop;
  need(
      orlop.apply("[container.task]\nimage = \"BUSYBOX\"\nrun = \"once\"\ninit = true\ncommand = [\"/bin/sh\", \"-c\", "
                  "\"sleep 1000 & exit 6\"]\n"));
  CHECK(need(orlop.client().wait("task")).exit_code == 6);
}

TEST_CASE("a volume keeps its data over a replacement, read-only holds, and its owner is never a host user",
          "[supervisor][root][T11]") {
  Instance orlop;
  const std::string image = need(orlop.import_busybox({"/data", "/ro"}));
  const std::string writer = fmt::format(
      "[volume.v]\n[container.writer]\nimage = \"{}\"\nuser = \"1234:77\"\nstop.grace = \"0s\"\n"
      "volumes = {{ \"/data\" = {{ volume = \"v\", mode = \"rw\" }} }}\n",
      image);
  const auto command = [](std::string_view script) {
    return fmt::format("command = [\"/bin/sh\", \"-c\", '''exec 2>&1; {}; echo over; exec sleep 1000''']\n", script);
  };
  need(orlop.apply(writer + command("echo one >/data/file; chmod 4755 /data/file; mknod /data/null c 1 3; stat -c "
                                    "'%u:%g %a' /data /data/file; grep ' /data ' /proc/self/mountinfo")));
  std::string said = orlop.await_log("writer", "over\n");
  CHECK_THAT(said, Contains("1234:77 700\n1234:77 4755\n") && Contains("mknod: /data/null: Operation not permitted") &&
                       Contains(" rw,nosuid,nodev,noexec"));
  const nlohmann::json volume = nlohmann::json::parse(need(orlop.client().inspect_volume("v")));
  const auto first = volume.at("first_id").get<std::uint32_t>();
  CHECK(first >= 65536);
  CHECK(first != orlop.inspect("writer").at("ids").at("first"));
  const std::string file = volume.at("path").get<std::string>() + "/file";
  CHECK(shell("stat -c %u:%g " + file).output == fmt::format("{}:{}\n", first + 1234, first + 77));

  need(orlop.apply(writer + command("cat /data/file; echo two >>/data/file") +
                   fmt::format("[container.reader]\nimage = \"{}\"\nuser = \"1234:77\"\nstop.grace = \"0s\"\n"
                               "volumes = {{ \"/ro\" = {{ volume = \"v\" }} }}\n",
                               image) +
                   command("cat /ro/file; echo x >/ro/file")));
  await_that([&] { return read_text(file) == "one\ntwo\n"; }, "the replacement has written");
  CHECK_THAT(orlop.await_log("reader", "over\n"), StartsWith("one\n") && Contains("Read-only file system"));
  CHECK_THAT(text(orlop.client().remove_volume("v").error()), Contains("host file"));
}
