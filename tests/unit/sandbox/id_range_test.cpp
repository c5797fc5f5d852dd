#include "sandbox/id_range.hpp"

#include <catch2/catch.hpp>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "tests/temporary_directory.hpp"

using namespace orlop;
using namespace orlop::sandbox;

namespace {

// A host of the test's own: /etc, /proc, the claims, and state directories of instances.
class Host {
 public:
  Host() {
    for (const char* name : {"etc", "proc", "a", "b"}) REQUIRE(make_directory(root_.fd(), name, 0755));
  }
  [[nodiscard]] Result<IdRanges> open(const std::string& instance) const {
    return IdRanges::open(
        state(instance), root_.path() + "/" + instance,
        {.claims = root_.path() + "/claims", .etc = root_.path() + "/etc", .proc = root_.path() + "/proc"});
  }
  [[nodiscard]] UniqueFd state(const std::string& instance) const {
    return make_directory(root_.fd(), instance, 0755).value();
  }
  void write(const std::string& directory, const std::string& name, const std::string& text) const {
    REQUIRE(replace_file(make_directory(root_.fd(), directory, 0755).value(), name, text, Durability::until_reboot));
  }
  [[nodiscard]] std::string read(const std::string& directory, const std::string& name) const {
    return read_file(make_directory(root_.fd(), directory, 0755).value(), name, 1 << 20).value_or("");
  }
  void remove(const std::string& instance) const { REQUIRE(remove_tree(root_.fd(), instance)); }
  [[nodiscard]] std::string path(const std::string& instance) const { return root_.path() + "/" + instance; }

 private:
  TemporaryDirectory root_;
};

constexpr IdRange nth(std::uint32_t n) {
  return {first_container_id + n * id_range_size};
}

}  // namespace

TEST_CASE("every owner has a range of its own, aligned, within the ids for containers", "[id_range][T71]") {
  const Host host;
  IdRanges ranges = host.open("a").value();
  std::set<IdRange> given;
  for (int i = 0; i < 50; ++i) {
    const IdRange range = ranges.claim(fmt::format("container/c{}", i)).value();
    CHECK(range.first % id_range_size == 0);
    CHECK(range.first >= first_container_id);
    CHECK(range.first <= last_container_id - (id_range_size - 1));
    given.insert(range);
  }
  CHECK(given.size() == 50);
}

TEST_CASE("an owner keeps its range, also over a new start of the supervisor", "[id_range]") {
  const Host host;
  const IdRange web = host.open("a")->claim("container/web").value();
  IdRanges ranges = host.open("a").value();
  CHECK(ranges.find("container/web") == web);
  CHECK(*ranges.claim("container/web") == web);
  CHECK_FALSE(ranges.find("container/db"));
}

TEST_CASE("a container and a volume of the same name have different ranges", "[id_range]") {
  const Host host;
  IdRanges ranges = host.open("a").value();
  CHECK(*ranges.claim("container/data") != *ranges.claim("volume/data"));
}

TEST_CASE("two instances on one host never share a range", "[id_range][T71]") {
  const Host host;
  IdRanges a = host.open("a").value();
  IdRanges b = host.open("b").value();
  std::set<IdRange> given;
  for (int i = 0; i < 10; ++i) {
    given.insert(a.claim(fmt::format("container/c{}", i)).value());
    given.insert(b.claim(fmt::format("container/c{}", i)).value());
  }
  CHECK(given.size() == 20);
}

TEST_CASE("instances that claim at the same moment never share a range", "[id_range][T71]") {
  const Host host;
  constexpr int claims = 10;
  const auto claim_all = [&host](const char* instance, std::vector<IdRange>& given) {
    IdRanges ranges = host.open(instance).value();
    for (int i = 0; i < claims; ++i) given.push_back(ranges.claim(fmt::format("container/c{}", i)).value());
  };
  std::vector<IdRange> of_a;
  std::vector<IdRange> of_b;
  std::thread other([&] { claim_all("b", of_b); });
  claim_all("a", of_a);
  other.join();
  std::set<IdRange> all(of_a.begin(), of_a.end());
  all.insert(of_b.begin(), of_b.end());
  CHECK(all.size() == 2 * claims);
}

TEST_CASE("ids of host users, subordinate ones included, are passed over", "[id_range][T71]") {
  const Host host;
  host.write("etc", "subuid", "alice:524288:65536\n# a comment\nbob:655359:1\n");
  host.write("etc", "subgid", "alice:720896:1\n");
  host.write("etc", "passwd", "root:x:0:0:root:/root:/bin/sh\ncarol:x:786433:100::/home/carol:/bin/sh\n");
  host.write("etc", "group", "root:x:0:\nstaff:x:851968:carol\n");
  // alice has range 0, bob the last id of range 1, alice's groups range 3, carol range 4, staff range 5.
  IdRanges ranges = host.open("a").value();
  CHECK(*ranges.claim("container/one") == nth(2));
  CHECK(*ranges.claim("container/two") == nth(6));
}

TEST_CASE("ids that a process runs with are passed over, supplementary groups included", "[id_range][T71]") {
  const Host host;
  host.write("proc/1", "status", "Name:\tx\nUid:\t0\t0\t0\t524289\nGid:\t0\t0\t0\t0\nGroups:\t4 655359 \n");
  host.write("proc/self", "status", "Uid:\t655360\n");
  CHECK(*host.open("a")->claim("container/one") == nth(2));
}

TEST_CASE("a range is given out again only after it was given up", "[id_range]") {
  const Host host;
  IdRanges ranges = host.open("a").value();
  const IdRange first = ranges.claim("container/one").value();
  CHECK(*ranges.claim("container/two") != first);
  REQUIRE(ranges.release("container/one"));
  REQUIRE(ranges.release("container/one"));
  CHECK_FALSE(ranges.find("container/one"));
  CHECK(*ranges.claim("container/three") == first);
}

TEST_CASE("claims of an instance whose state directory is gone are given out again", "[id_range]") {
  const Host host;
  const IdRange gone = host.open("b")->claim("container/web").value();
  host.remove("b");
  CHECK(*host.open("a")->claim("container/web") == gone);
}

TEST_CASE("a claim that a crash left without a record is dropped at the next start", "[id_range]") {
  const Host host;
  REQUIRE(host.open("a"));
  host.write("claims", "claims", fmt::format("524288 {}\n", host.path("a")));
  CHECK(*host.open("a")->claim("container/web") == nth(0));
}

TEST_CASE("a record whose claim was lost is claimed again", "[id_range]") {
  const Host host;
  const IdRange web = host.open("a")->claim("container/web").value();
  host.write("claims", "claims", "");
  REQUIRE(host.open("a"));
  CHECK(*host.open("b")->claim("container/web") != web);
}

TEST_CASE("a copied state directory is refused: its ranges are another instance's", "[id_range][T71]") {
  const Host host;
  REQUIRE(host.open("a")->claim("container/web"));
  host.write("b", "id-ranges", host.read("a", "id-ranges"));
  const Result<IdRanges> copy = host.open("b");
  REQUIRE_FALSE(copy);
  CHECK(copy.error().kind == ErrorKind::corrupt);
  CHECK(text(copy.error()).find(host.path("a")) != std::string::npos);
}

TEST_CASE("a torn, foreign or impossible record is refused and left as it is", "[id_range]") {
  const std::string bad = GENERATE("524288 container/web", "524289 container/web\n", "x container/web\n", "524288\n",
                                   "524288 \n", "458752 container/web\n", "1879048192 container/web\n", "\n",
                                   "524288 a\n524288 b\n", "524288 a\n589824 a\n", "99999999999 a\n");
  const Host host;
  host.write("a", "id-ranges", bad);
  const Result<IdRanges> ranges = host.open("a");
  REQUIRE_FALSE(ranges);
  CHECK(ranges.error().kind == ErrorKind::corrupt);
  CHECK(host.read("a", "id-ranges") == bad);
}

TEST_CASE("when every range is taken a claim says so and changes nothing", "[id_range]") {
  const Host host;
  host.write("etc", "subuid", "everything:524288:4294967295\n");
  IdRanges ranges = host.open("a").value();
  CHECK(ranges.claim("container/web").error().kind == ErrorKind::limit);
  CHECK(ranges.all().empty());
  CHECK(host.read("claims", "claims").empty());
}

TEST_CASE("lines of /etc that are not of the form are passed over", "[id_range]") {
  CHECK(parse_subordinate_ids("a:1:2\nb:1\nc:x:2\nd:1:0\n:\n\ne:4294967295:2\n") ==
        std::vector<TakenIds>{{1, 2}, {4294967295U, 4294967295U}});
  CHECK(parse_account_ids("root:x:0:1:r:/:/bin/sh\nstaff:x:50:a,b\n+::::::\n\n") ==
        std::vector<TakenIds>{{0, 0}, {1, 1}, {50, 50}});
}
