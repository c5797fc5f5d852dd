// The process that pumps is killed (SIGKILL) 200 times at random under a writer at full speed. The test holds the
// pipe's read end, as the guardian does.
#include <catch2/catch.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>

#include "supervisor/logs/reader.hpp"
#include "supervisor/logs/spool.hpp"
#include "tests/temporary_directory.hpp"

using namespace orlop;
using namespace orlop::logs;

namespace {

constexpr std::size_t word = sizeof(std::uint64_t);

// Writes the numbers 0, 1, 2, … as 8 bytes each, so that the byte at any place of the stream is known. Returns when
// told, never in the middle of a number.
[[noreturn]] void write_at_full_speed(BorrowedFd pipe, BorrowedFd stop) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that fails leaves no process behind
  std::array<std::uint64_t, 512> block{};
  for (std::uint64_t number = 0;; number += block.size()) {
    for (std::size_t i = 0; i < block.size(); ++i) block.at(i) = number + i;
    if (!write_all(pipe, {reinterpret_cast<const char*>(block.data()), sizeof block})) ::_exit(1);
    pollfd told{.fd = stop.get(), .events = POLLIN, .revents = 0};
    if (::poll(&told, 1, 0) != 0) ::_exit(0);
  }
}

// What orlopd's loop does for one stream. On a busy machine a kill may come late: before rotation takes bytes that the
// witness has not read, it waits for the kill.
[[noreturn]] void pump_for_ever(BorrowedFd directory, BorrowedFd pipe, const Limits& limits) {
  Result<Spool> spool = Spool::open(directory, "web", Stream::out, limits, Moment::now());
  if (!spool) ::_exit(1);
  spool->begin_run(1, Moment::now());
  std::uint64_t kept = 0;
  for (;;) {
    if (kept > limits.file_bytes.count * limits.files / 2) (void)::pause();
    const Pumped pumped = spool->pump(pipe, Moment::now());
    kept += pumped.kept_bytes;
    if (pumped.trouble) ::_exit(2);
    pollfd state{.fd = pipe.get(), .events = POLLIN, .revents = 0};
    if (pumped.next == Pumped::Next::readable) (void)::poll(&state, 1, -1);
    if (pumped.next == Pumped::Next::at) {
      const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(pumped.when - BootClock::now());
      (void)::poll(nullptr, 0, static_cast<int>(std::max<std::int64_t>(wait.count(), 0)));
    }
    if (pumped.next == Pumped::Next::closed) ::_exit(3);
  }
}

// Kills `child` when a random moment of up to `most` has come. Whether it lived until then.
bool kill_at_random(pid_t child, Duration most, std::mt19937_64& random) {
  const UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  itimerspec when{};
  when.it_value.tv_nsec = std::uniform_int_distribution<long>(1, most.count())(random);
  REQUIRE(::timerfd_settime(timer.get(), 0, &when, nullptr) == 0);
  std::uint64_t expired = 0;
  REQUIRE(::read(timer.get(), &expired, sizeof expired) == sizeof expired);
  REQUIRE(::kill(child, SIGKILL) == 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

// Reads the log as it grows and holds every byte against the number that was written at its place.
class Witness {
 public:
  explicit Witness(BorrowedFd directory) : directory_(directory) {}

  void read_on() {
    reader_.extend(open_source(directory_, "web").value());
    while (const std::optional<Line> line = reader_.next().value()) {
      std::uint64_t place = kept + dropped;
      bool right = true;
      for (const char byte : line->log) {
        const std::uint64_t number = place / word;
        std::array<char, word> expected{};
        std::memcpy(expected.data(), &number, word);
        right = right && byte == expected.at(place % word);
        ++place;
      }
      if (!right) FAIL("wrong bytes after " << kept << " kept and " << dropped << " dropped");
      kept += line->log.size();
      dropped += line->dropped_bytes;
    }
  }

  std::uint64_t kept = 0;
  std::uint64_t dropped = 0;

 private:
  BorrowedFd directory_;
  Reader reader_ = Reader::open({}, {}).value();
};

void kill_200_times(const Limits& limits, Duration most, bool expect_drops) {
  const TemporaryDirectory directory;
  const sys::Pipe pipe = sys::pipe().value();
  const sys::Pipe stop = sys::pipe().value();
  const pid_t writer = ::fork();
  REQUIRE(writer >= 0);
  if (writer == 0) write_at_full_speed(pipe.write, stop.read);
  std::mt19937_64 random(20260101);  // the moments still differ from run to run: the machine's own noise decides
  Witness witness(directory.fd());
  int lived = 0;
  for (int round = 0; round < 200; ++round) {
    const pid_t pumper = ::fork();
    REQUIRE(pumper >= 0);
    if (pumper == 0) pump_for_ever(directory.fd(), pipe.read, limits);
    lived += kill_at_random(pumper, most, random) ? 1 : 0;
    witness.read_on();
  }
  CHECK(lived == 200);

  // The last one adopts, the writer is told to end, and what the pipe then holds is drained.
  Spool spool = Spool::open(directory.fd(), "web", Stream::out, limits, Moment::now()).value();
  REQUIRE(write_all(stop.write, "x"));
  pollfd ended{.fd = sys::pidfd_open(writer).value().release(), .events = POLLIN, .revents = 0};
  const UniqueFd owner(ended.fd);
  while (::poll(&ended, 1, 0) == 0) (void)spool.pump(pipe.read, Moment::now());  // a step of it may wait for room
  int status = 0;
  REQUIRE(::waitpid(writer, &status, 0) == writer);
  CHECK(status == 0);
  const Pumped finished = spool.finish(pipe.read, Moment::now());
  CHECK_FALSE(finished.trouble);

  witness.read_on();
  INFO("kept " << witness.kept << ", dropped " << witness.dropped);
  // The writer's last block is whole: nothing is missing behind.
  CHECK((witness.kept + witness.dropped) % (512 * word) == 0);
  CHECK(witness.kept > 0);
  CHECK((witness.dropped > 0) == expect_drops);
}

}  // namespace

TEST_CASE("200 kills at random lose, double and move no byte of a stream without a rate", "[logs][kill]") {
  kill_200_times({.file_bytes = 256_KiB, .files = 32, .rate_per_second = std::nullopt}, std::chrono::milliseconds(2),
                 false);
}

TEST_CASE("200 kills at random lose no byte of a stream at the default rate, drops counted to the byte",
          "[logs][kill]") {
  kill_200_times({.file_bytes = 16_MiB, .files = 32}, std::chrono::milliseconds(25), true);
}
