// A disk that is full, as a tmpfs of a few pages.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "supervisor/logs/reader.hpp"
#include "supervisor/logs/spool.hpp"

using namespace orlop;
using namespace orlop::logs;
using namespace std::chrono_literals;
using Next = Pumped::Next;

namespace {

struct SmallDisk {
  UniqueFd mount = sys::new_mount("tmpfs", std::vector<sys::FsOption>{{"size", "128k"}}, 0).value();
  sys::Pipe pipe = sys::pipe(O_NONBLOCK).value();
  Moment now = Moment::now();

  Spool open(WhenFull when_full) {
    return Spool::open(mount, "web", Stream::out, {.rate_per_second = std::nullopt, .when_full = when_full}, now)
        .value();
  }
  void fill() {
    const UniqueFd file = sys::open_beneath(mount, "ballast", O_WRONLY | O_CREAT, 0600).value();
    const std::string page(4096, 'x');
    while (::write(file.get(), page.data(), page.size()) > 0) {
    }
    REQUIRE(errno == ENOSPC);
  }
  void make_room() { REQUIRE(::unlinkat(mount.get(), "ballast", 0) == 0); }
  std::string bytes() const {
    Reader reader = Reader::open(open_source(mount, "web").value(), {}).value();
    std::string all;
    while (const std::optional<Line> line = reader.next().value())
      all += line->dropped_bytes != 0 ? "<" + std::to_string(line->dropped_bytes) + ">" : line->log;
    return all;
  }
};

}  // namespace

TEST_CASE("what a full disk cannot take is dropped, counted and told, and the log goes on when there is room",
          "[logs][T41]") {
  SmallDisk disk;
  Spool spool = disk.open(WhenFull::drop);
  spool.begin_run(1, disk.now);
  const std::string page(4095, 'a');
  REQUIRE(write_all(disk.pipe.write, page + "\n"));
  CHECK_FALSE(spool.pump(disk.pipe.read, disk.now).trouble);
  disk.fill();
  REQUIRE(write_all(disk.pipe.write, "lost\n"));
  Pumped pumped = spool.pump(disk.pipe.read, disk.now);
  REQUIRE(pumped.trouble);
  CHECK(pumped.trouble->errno_value == ENOSPC);
  CHECK(pumped.dropped_bytes == 5);
  disk.now.boot += 2s;
  REQUIRE(write_all(disk.pipe.write, "lost too\n"));
  CHECK(spool.pump(disk.pipe.read, disk.now).dropped_bytes == 9);
  disk.make_room();
  disk.now.boot += 2s;
  REQUIRE(write_all(disk.pipe.write, "after\n"));
  pumped = spool.pump(disk.pipe.read, disk.now);
  CHECK_FALSE(pumped.trouble);
  const std::string told = disk.bytes();
  CHECK((told == page + "\n<14>after\n" || told == page + "\n<5><9>after\n"));
}

TEST_CASE("a stream that blocks on a full disk keeps its bytes in the pipe, in order", "[logs][T41]") {
  SmallDisk disk;
  Spool spool = disk.open(WhenFull::block);
  const std::string page(4095, 'a');
  REQUIRE(write_all(disk.pipe.write, page + "\n"));
  CHECK_FALSE(spool.pump(disk.pipe.read, disk.now).trouble);
  disk.fill();
  REQUIRE(write_all(disk.pipe.write, "waits\n"));
  const Pumped pumped = spool.pump(disk.pipe.read, disk.now);
  CHECK(pumped.trouble);
  CHECK(pumped.dropped_bytes == 0);
  CHECK(pumped.next == Next::at);
  CHECK(pumped.when > disk.now.boot);
  disk.make_room();
  disk.now.boot += 2s;
  CHECK_FALSE(spool.pump(disk.pipe.read, disk.now).trouble);
  CHECK(disk.bytes() == page + "\nwaits\n");
}

TEST_CASE("a container that ends on a full disk loses what its pipe holds, counted, under either policy",
          "[logs][T41]") {
  SmallDisk disk;
  Spool spool = disk.open(WhenFull::block);
  spool.begin_run(1, disk.now);
  disk.fill();
  REQUIRE(write_all(disk.pipe.write, "last words\n"));
  const Pumped finished = spool.finish(disk.pipe.read, disk.now);
  CHECK(finished.trouble);
  CHECK(finished.dropped_bytes == 11);
  CHECK(finished.next == Next::closed);
}
