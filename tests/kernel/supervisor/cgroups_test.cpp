// What a container sees of its own group, and what a start does to the groups of others.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "cgroups/hierarchies.hpp"
#include "tests/kernel/supervisor/instance.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

namespace {

/// The file of the CPU weight of the container that `inspection` is of.
std::string weight_file(const nlohmann::json& inspection) {
  const cgroups::Hierarchies hierarchies = need(cgroups::discover());
  std::string mount_point = hierarchies.unified.mount_point;
  bool v1 = false;
  for (const cgroups::V1Hierarchy& hierarchy : hierarchies.v1)
    if (hierarchy.controllers.front() == cgroups::Controller::cpu) {
      mount_point = hierarchy.mount_point;
      v1 = true;
    }
  std::ifstream groups("/proc/" + std::to_string(inspection.at("pid").get<int>()) + "/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    const bool is_it = v1 ? line.find(":cpu:") != std::string::npos || line.find(":cpu,") != std::string::npos
                          : line.starts_with("0::");
    if (is_it) return mount_point + line.substr(line.rfind(':') + 1) + (v1 ? "/cpu.shares" : "/cpu.weight");
  }
  FAIL("the container is in no group");
  return {};
}

std::string first_word(const std::string& file) {
  std::ifstream stream(file);
  std::string word;
  stream >> word;
  return word;
}

}  // namespace

TEST_CASE("with cgroup_view a container reads its own limit and sees no other group, and writes nothing",
          "[supervisor][root][T40]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.other]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "exec sleep 1000"]

[container.viewer]
image   = "BUSYBOX"
user    = "0:0"
allow   = { cgroup_view = true, root_user = true }
resources.memory.max = "64MiB"
command = ["/bin/sh", "-c", """
cd /sys/fs/cgroup
echo limit $(cat memory.max memory/memory.limit_in_bytes 2>/dev/null)
echo elsewhere $(grep -v ':/$' /proc/self/cgroup)
echo groups $(find . -mindepth 2 -type d) $(find . -name 'orlop*' -o -name '*viewer*')
echo myself $(find . -name cgroup.procs -exec grep -Lx 1 {} +)
written=
for name in cgroup.procs cgroup.kill memory.max memory.limit_in_bytes release_agent notify_on_release tasks; do
  for file in $(find . -name $name); do echo 1 2>/dev/null >$file && written="$written $file"; done
done
for directory in . $(find . -type d); do mkdir $directory/new 2>/dev/null && written="$written $directory/new"; done
for directory in . $(find . -type d); do mount -o remount,rw $directory 2>/dev/null && written="$written $directory"; done
mount -t cgroup2 none /tmp 2>/dev/null && written="$written /tmp"
mkdir /sys/new 2>/dev/null && written="$written /sys/new"
echo written$written
echo writable $(grep ' - cgroup' /proc/self/mountinfo | grep -v ' ro,')
echo done; exec sleep 1000"""]
)"));
  orlop.await(
      "viewer", [&](const auto&) { return orlop.log("viewer").find("done") != std::string::npos; }, "its last line");
  CHECK(orlop.log("viewer") == "limit 67108864\nelsewhere\ngroups\nmyself\nwritten\nwritable\ndone\n");
}

TEST_CASE("without cgroup_view /sys is empty", "[supervisor][root][T40]") {
  Instance orlop;
  need(orlop.apply(R"(
[container.plain]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "echo sys $(ls /sys) done; exec sleep 1000"]
)"));
  orlop.await("plain", [&](const auto&) { return orlop.log("plain").find("done") != std::string::npos; }, "its line");
  CHECK(orlop.log("plain") == "sys done\n");
}

TEST_CASE("a start leaves the weights of others as they are when it changes none", "[supervisor][root]") {
  Instance orlop;
  const std::string first = R"(
[container.first]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "exec sleep 1000"]
)";
  need(orlop.apply(first));
  const std::string weight = weight_file(orlop.await("first", "running"));
  std::ofstream(weight) << 77 << std::flush;  // as nobody but this test does: a mark that a write would wipe away
  REQUIRE(first_word(weight) == "77");
  need(orlop.apply(first + R"(
[container.second]
image   = "BUSYBOX"
command = ["/bin/sh", "-c", "exec sleep 1000"]
)"));
  orlop.await("second", "running");
  CHECK(first_word(weight) == "77");
}
