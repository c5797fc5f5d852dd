// What a container under the defaults is, has and cannot do.
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

namespace {

std::string link_of(pid_t pid, std::string_view name) {
  std::array<char, 256> target;
  const ssize_t size = ::readlink(fmt::format("/proc/{}/{}", pid, name).c_str(), target.data(), target.size());
  return size < 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(size));
}

// What `script` prints in a container of its own with `more` in its section.
std::string said_by(Instance& orlop, std::string_view script, std::string_view more = "") {
  need(
      orlop.apply(fmt::format("[container.probe]\nimage = \"BUSYBOX\"\nrun = \"once\"\ncommand = [\"/bin/sh\", \"-c\", "
                              "'''exec 2>&1\n{}''']\n{}\n",
                              script, more)));
  const control::Exit end = need(orlop.client().wait("probe"));
  INFO(end.reason);
  CHECK(end.reason.starts_with("exited "));
  return orlop.log("probe");
}

}  // namespace

TEST_CASE("every namespace of a container is neither the host's nor a sibling's",
          "[supervisor][root][cis/5.9][cis/5.15]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.a]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
[container.b]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)"));
  const pid_t a = orlop.await("a", "running").at("pid");
  const pid_t b = orlop.await("b", "running").at("pid");
  for (const char* name : {"user", "mnt", "pid", "net", "uts", "ipc", "cgroup"}) {
    const std::string own = link_of(::getpid(), fmt::format("ns/{}", name));
    const std::string of_a = link_of(a, fmt::format("ns/{}", name));
    const std::string of_b = link_of(b, fmt::format("ns/{}", name));
    CAPTURE(name, own, of_a, of_b);
    CHECK_FALSE(own.empty());
    CHECK(own != of_a);
    CHECK(own != of_b);
    CHECK(of_a != of_b);
  }
  const auto ids = [&](const char* name) { return orlop.inspect(name).at("ids").at("first").get<std::uint32_t>(); };
  CHECK(ids("a") + 65536 <= std::max(ids("b"), ids("a") + 65536));
  CHECK(std::max(ids("a"), ids("b")) - std::min(ids("a"), ids("b")) >= 65536);
  CHECK(proc_status(a, "Uid").starts_with(std::to_string(ids("a") + 1000)));
}

TEST_CASE("a container has no capability, no new privileges, a filter, and a sealed root",
          "[supervisor][root][T07][T14][cis/5.13]") {
  Instance orlop;
  const std::string said = said_by(orlop, R"(cat /proc/self/status
echo x >/x; mkdir /bin/y; mount -t tmpfs none /tmp; chroot /tmp /bin/true; mknod /tmp/z c 1 3; unshare -U true; hostname other; ls /proc | grep -c '^[0-9]')");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    CHECK_THAT(said, Contains(fmt::format("{}:\t0000000000000000", set)));
  CHECK_THAT(said, Contains("NoNewPrivs:\t1") && Contains("Seccomp:\t2"));
  CHECK_THAT(said, Contains("Groups:\t \n"));
  CHECK_THAT(said, Contains("/x: Read-only file system") && Contains("/bin/y': Read-only file system"));
  CHECK_THAT(said, Contains("mount: permission denied") && Contains("chroot: ") &&
                       Contains("mknod: /tmp/z: Operation not permitted") && Contains("unshare: ") &&
                       Contains("sethostname: Operation not permitted"));
}

TEST_CASE("a container sees the documented /dev, a masked /proc and its own network only",
          "[supervisor][root][T28][T30][cis/5.18]") {
  Instance orlop;
  const std::string said = said_by(orlop, R"(echo dev: $(ls /dev)
for name in kcore keys kallsyms timer_list sched_debug interrupts cmdline sysrq-trigger sys/kernel/core_pattern; do
  [ -s /proc/$name ] && head -c 1 /proc/$name >/dev/null 2>&1 && [ $(head -c 64 /proc/$name | wc -c) -gt 0 ] && echo readable: $name; done
ls /sys; ls /sys/kernel /sys/firmware; echo net: $(ls /proc/sys/net/ipv4/conf); ip addr | grep -c 'inet 127.0.0.1'
head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x >/dev/full; echo again >/dev/stdout; echo err >/dev/stderr)");
  CHECK_THAT(said, Contains("dev: fd full log null ptmx pts random shm stderr stdin stdout tty urandom zero\n"));
  CHECK_THAT(said, !Contains("readable: kcore") && !Contains("readable: keys") && !Contains("readable: kallsyms") &&
                       !Contains("readable: timer_list") && !Contains("readable: sched_debug") &&
                       !Contains("readable: interrupts") && !Contains("readable: cmdline"));
  CHECK_THAT(said, Contains("3\n3\n") && Contains("No space left") && Contains("again\n") && Contains("err\n"));
}

TEST_CASE(
    "a container gets the declared environment, hostname, user, groups, directory and umask, and descriptors 0 to 2",
    "[supervisor][root][T16][T20][cis/5.6]") {
  ::setenv("ORLOP_TEST_SECRET", "of the host", 1);
  Instance orlop;
  const std::string said = said_by(
      orlop, "env | sort; hostname; id; pwd; umask; ls /proc/self/fd; tty; cat /proc/self/stat | cut -d' ' -f5,6",
      R"(env = { GREETING = "hello", PATH = "/bin:/usr/bin" }
hostname = "box.example"
user = "1234:77"
groups = [88, 99]
workdir = "/tmp")");
  ::unsetenv("ORLOP_TEST_SECRET");
  CHECK_THAT(said, Contains("GREETING=hello\n") && Contains("PATH=/bin:/usr/bin\n") && !Contains("ORLOP_TEST_SECRET"));
  CHECK_THAT(said, Contains("box.example\nuid=1234 gid=77 groups=88,99\n/tmp\n0022\n"));
  // ls holds the directory that it lists as the fourth.
  CHECK_THAT(said, Contains("\n0\n1\n2\n3\n") && !Contains("\n4\n") && Contains("not a tty"));
  CHECK_THAT(said, Contains("1 1\n"));
}

TEST_CASE("inspect lists the allowed system calls, and the plan says all that a launch does", "[supervisor][root]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.one]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)"));
  const nlohmann::json one = orlop.await("one", "running");
  const auto allowed = one.at("seccomp").at("allowed").get<std::set<std::string>>();
  CHECK(allowed.contains("read"));
  CHECK_FALSE(allowed.contains("mount"));
  CHECK_FALSE(allowed.contains("bpf"));
  const std::string plan = need(orlop.client().plan("one"));
  CHECK_THAT(plan, Contains("/bin/sleep") && Contains("pivot") && Contains("seccomp"));
}
