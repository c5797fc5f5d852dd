#include "sandbox/plan.hpp"

#include <linux/landlock.h>
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/need.hpp"

using namespace orlop;
using namespace orlop::sandbox;
using Catch::Matchers::Contains;

namespace {

Spec small() {
  Spec spec;
  spec.name = "web";
  spec.hostname = "web";
  spec.argv = {"server"};
  spec.env = {"PATH=/opt/bin:/bin"};
  spec.uid = 33;
  spec.gid = 34;
  spec.tmpfs = {{"/tmp", 1_MiB, 16, 01777}};
  return spec;
}

std::vector<Op> ops(const Plan& plan) {
  std::vector<Op> list;
  for (const Step& step : plan.steps) list.push_back(step.op);
  return list;
}

std::ptrdiff_t at(const std::vector<Op>& list, Op op) {
  return std::ranges::find(list, op) - list.begin();
}

}  // namespace

TEST_CASE("a plan prints each step in the child's order, with all that it will do", "[sandbox]") {
  const auto plan = need(make_plan(small(), {}, KernelFeatures{}));
  CHECK(print(*plan) ==
        "clone3 user,pid,mount,ipc,uts namespaces, ids 0+65536\n"
        "close other fds\nforbid dump\nawait gate\nbecome root\nset umask 0022\nnew cgroup namespace\nnew session\n"
        "set hostname web\nattach root\npivot root\nattach mount /dev\nmount devpts /dev/pts\nmount proc /proc\n"
        "mount tmpfs /tmp size=1048576,nr_inodes=16,mode=1777,uid=33,gid=34 nosuid,nodev,noexec\n"
        "write 0 to /proc/sys/user/max_user_namespaces\ndetach old root\nset groups []\nno new privs\n"
        "drop bounding set all but 0x0\nlock securebits\nbecome user 33:34\nset capabilities 0x0\ndie with parent\n"
        "change directory /\nplace stdio\nreset signals\nenter seccomp 0 instructions\nexecute /opt/bin/server or "
        "/bin/server\n");
}

TEST_CASE("nothing runs between the filter and the payload, and the gate comes before anything of the container",
          "[sandbox]") {
  const auto list = ops(*need(make_plan(small(), {}, KernelFeatures{.landlock_abi = 7})));
  CHECK(list.back() == Op::execute);
  CHECK(list[list.size() - 2] == Op::seccomp);
  CHECK(list[list.size() - 3] == Op::landlock);
  CHECK(at(list, Op::await_gate) < at(list, Op::become_root));
  CHECK(at(list, Op::forbid_dump) < at(list, Op::await_gate));
  CHECK(at(list, Op::detach_old_root) < at(list, Op::become_user));
}

TEST_CASE("mounts are made parents first, and a target inside a tmpfs of orlop's is made level by level", "[sandbox]") {
  Spec spec = small();
  spec.tmpfs.push_back({"/tmp/a/b", 1_MiB, 16, 0755});
  spec.tmpfs.push_back({"/run", 1_MiB, 16, 0755});
  std::string text = print(*need(make_plan(spec, {}, KernelFeatures{})));
  const auto run = text.find("mount tmpfs /run");
  const auto tmp = text.find("mount tmpfs /tmp ");
  const auto a = text.find("make directory /tmp/a\n");
  const auto b = text.find("make directory /tmp/a/b\n");
  const auto inner = text.find("mount tmpfs /tmp/a/b");
  CHECK((run < tmp && tmp < a && a < b && b < inner && inner != std::string::npos));
}

TEST_CASE("landlock grants writing on writable mounts only, and never device nodes", "[sandbox]") {
  const auto plan = need(make_plan(small(), {}, KernelFeatures{.landlock_abi = 2}));
  CHECK(plan->landlock_handled == 0x3fff);
  for (const LandlockRule& rule : plan->landlock_rules) {
    CHECK((rule.access & (LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)) == 0);
    if (std::string_view(rule.path) == "/") CHECK((rule.access & LANDLOCK_ACCESS_FS_WRITE_FILE) == 0);
    if (std::string_view(rule.path) == "/tmp") CHECK((rule.access & LANDLOCK_ACCESS_FS_REFER) != 0);
  }
}

TEST_CASE("a command or environment over 128 KiB is refused before anything is made", "[sandbox]") {
  Spec spec = small();
  spec.env.push_back("X=" + std::string(std::size_t{128} << 10, 'x'));
  const auto plan = make_plan(spec, {}, KernelFeatures{});
  REQUIRE_FALSE(plan);
  CHECK(plan.error().kind == ErrorKind::limit);
}
