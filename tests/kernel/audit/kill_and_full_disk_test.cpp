// The audit log under SIGKILL at random, and on a disk that is full.
#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <random>

#include "tests/unit/audit/log_fixture.hpp"

using namespace orlop;
using namespace orlop::audit;

namespace {

// A disk of its own that syncs at once; the descriptor is one that fsync takes.
UniqueFd small_disk(const char* size) {
  const UniqueFd mount = sys::new_mount("tmpfs", std::vector<sys::FsOption>{{"size", size}}, 0).value();
  return sys::open_beneath(mount, ".", O_RDONLY | O_DIRECTORY).value();
}

void fill_up(BorrowedFd disk) {
  const UniqueFd ballast = sys::open_beneath(disk, "ballast", O_WRONLY | O_CREAT, 0600).value();
  const std::string page(4096, 'x');
  while (::write(ballast.get(), page.data(), page.size()) > 0) {
  }
  REQUIRE(errno == ENOSPC);
}

}  // namespace

TEST_CASE("100 kills at random lose no record that was reported as written, and leave the log whole",
          "[audit][kill][T76]") {
  const UniqueFd directory = small_disk("64m");
  const UniqueFd state = small_disk("1m");
  LogFixture log;
  const Limits limits{.file_bytes = 160_KiB, .files = 200, .reserve = 16_KiB};
  void* shared =
      ::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  auto* reported = new (shared) std::atomic<std::uint64_t>(0);
  std::mt19937_64 random(20260102);
  for (int round = 0; round < 100; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Result<LogFiles> files = LogFiles::open(directory, state, limits);
      if (!files) ::_exit(1);
      for (;;) {
        if (!log.append(*files, {change("container/web"), change("container/db")})) ::_exit(2);
        reported->store(files->head().last.seq);
      }
    }
    const UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    itimerspec when{};
    when.it_value.tv_nsec = std::uniform_int_distribution<long>(1, 3'000'000)(random);
    REQUIRE(::timerfd_settime(timer.get(), 0, &when, nullptr) == 0);
    std::uint64_t expired = 0;
    REQUIRE(::read(timer.get(), &expired, sizeof expired) == sizeof expired);
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const Result<std::optional<Head>> head = read_head(state);
    REQUIRE(head);
    if (!*head) continue;  // killed before the first head
    const Verified verified = verify(open_source(directory, state).value()).value();
    if (verified.fault) FAIL(verified.fault->explanation);
    REQUIRE(verified.last.seq >= reported->load());
  }
  CHECK(reported->load() > 0);
  REQUIRE(::munmap(shared, sizeof(std::atomic<std::uint64_t>)) == 0);
}

TEST_CASE("on a full disk a change is refused, nothing of it stays, and the chain goes on when there is room",
          "[audit][T41][T76]") {
  const UniqueFd disk = small_disk("64k");
  LogFixture log;
  LogFiles files = LogFiles::open(disk, log.state.fd(), {}).value();
  REQUIRE(log.append(files, {change("container/web")}));
  const Head before = files.head();
  fill_up(disk);
  Record large = change("container/web");
  large.why = std::string(9'000, 'x');
  const Result<void> refused = log.append(files, {change("container/db"), large});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().errno_value == ENOSPC);
  CHECK(files.head() == before);
  CHECK(read_file(disk, file_name(1), 1 << 20).value().size() == before.offset);
  REQUIRE(::unlinkat(disk.get(), "ballast", 0) == 0);
  REQUIRE(log.append(files, {large}));
  const Verified verified = verify(open_source(disk, log.state.fd()).value()).value();
  CHECK_FALSE(verified.fault);
  CHECK(verified.records == 2);
}

TEST_CASE("a head that cannot be written refuses the change and takes its lines back", "[audit][T41][T76]") {
  const UniqueFd disk = small_disk("16k");
  LogFixture log;
  LogFiles files = LogFiles::open(log.directory.fd(), disk, {}).value();
  REQUIRE(log.append(files, {change("container/web")}));
  const std::string before = log.content();
  fill_up(disk);
  CHECK_FALSE(log.append(files, {change("container/db")}));
  CHECK(log.content() == before);
  REQUIRE(::unlinkat(disk.get(), "ballast", 0) == 0);
  REQUIRE(log.append(files, {change("container/db")}));
  CHECK_FALSE(verify(open_source(log.directory.fd(), disk).value()).value().fault);
}
