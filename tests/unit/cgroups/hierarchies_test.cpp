#include "cgroups/hierarchies.hpp"

#include <catch2/catch.hpp>

using namespace orlop;
using namespace orlop::cgroups;

namespace {

const std::string unified_mount = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string hybrid_mounts =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

}  // namespace

TEST_CASE("a host with cgroup2 alone is unified, and the own group is told below the mount", "[cgroups]") {
  const Result<Hierarchies> found = parse_hierarchies(unified_mount, "0::/system.slice/orlop.service\n");
  REQUIRE(found);
  CHECK(found->kind == Kind::unified);
  CHECK(found->unified == Unified{.mount_point = "/sys/fs/cgroup", .own_group = "system.slice/orlop.service"});
  CHECK(found->v1.empty());
}

TEST_CASE("a hybrid host has its v1 hierarchies named by the controllers orlop uses, others left out", "[cgroups]") {
  const Result<Hierarchies> found = parse_hierarchies(hybrid_mounts, "4:cpu,cpuacct:/\n2:memory:/elsewhere\n0::/\n");
  REQUIRE(found);
  CHECK(found->kind == Kind::hybrid);
  CHECK(found->unified == Unified{.mount_point = "/sys/fs/cgroup/unified", .own_group = ""});
  CHECK(found->v1 == std::vector<V1Hierarchy>{{"/sys/fs/cgroup/cpu,cpuacct", {Controller::cpu}, "cpu,cpuacct"},
                                              {"/sys/fs/cgroup/memory", {Controller::memory}, "memory"}});
}

TEST_CASE("a hierarchy that is mounted twice is used once", "[cgroups]") {
  const std::string again = "50 31 0:32 / /mnt/memory rw - cgroup cgroup rw,memory\n";
  const Result<Hierarchies> found = parse_hierarchies(hybrid_mounts + again, "0::/\n");
  REQUIRE(found);
  CHECK(found->v1.size() == 2);
}

TEST_CASE("a host with v1 alone still has a cgroup2 tree, mounted nowhere", "[cgroups]") {
  const std::string mounts = "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n";
  const Result<Hierarchies> found = parse_hierarchies(mounts, "2:memory:/x\n0::/\n");
  REQUIRE(found);
  CHECK(found->kind == Kind::v1);
  CHECK(found->unified.mount_point.empty());
}

TEST_CASE("a mount that shows a part of the tree is used from its top", "[cgroups]") {
  const std::string mount = "30 24 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  CHECK(parse_hierarchies(mount, "0::/docker/ab/inner\n")->unified.own_group == "inner");
  CHECK(parse_hierarchies(mount, "0::/docker/ab\n")->unified.own_group.empty());
}

TEST_CASE("a mount that does not show the own group is refused, also where only the name begins alike", "[cgroups]") {
  const std::string mount = "30 24 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  CHECK(parse_hierarchies(mount, "0::/docker/abc\n").error().kind == ErrorKind::unsupported);
  CHECK(parse_hierarchies(unified_mount, "0::/../outside\n").error().kind == ErrorKind::unsupported);
}

TEST_CASE("a kernel without cgroup2 is refused in words", "[cgroups]") {
  const Result<Hierarchies> found = parse_hierarchies("", "2:memory:/x\n");
  REQUIRE_FALSE(found);
  CHECK(found.error().kind == ErrorKind::unsupported);
}

TEST_CASE("a mount point with spaces and backslashes is read as it is", "[cgroups]") {
  const std::string mount = "30 24 0:26 / /my\\040groups\\134x rw - cgroup2 cgroup2 rw\n";
  CHECK(parse_hierarchies(mount, "0::/\n")->unified.mount_point == "/my groups\\x");
}

TEST_CASE("lines that are no mounts are passed over", "[cgroups]") {
  CHECK(parse_hierarchies("\n- - -\n1 2 3 4 5 6\n- cgroup2\n" + unified_mount, "0::/\n"));
}
