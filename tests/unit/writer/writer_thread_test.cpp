#include "supervisor/writer/writer_thread.hpp"

#include <catch2/catch.hpp>

#include <poll.h>

#include <future>
#include <vector>

using namespace orlop;
using namespace orlop::writer;

namespace {

// Waits as the loop does, until no job is pending.
void run_until_idle(WriterThread& thread) {
  while (thread.pending() != 0) {
    pollfd event{.fd = thread.completed_fd().get(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&event, 1, 10'000) == 1);
    thread.process_completed();
  }
}

}  // namespace

TEST_CASE("jobs run in order on another thread, callbacks on the caller's", "[writer]") {
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  std::vector<int> ran;  // no lock: it is the thread's while a job is pending
  std::vector<int> told;
  const std::thread::id loop = std::this_thread::get_id();
  for (int i = 0; i < 100; ++i)
    REQUIRE(thread->submit(
        [&, i]() -> Result<void> {
          if (std::this_thread::get_id() == loop) return fail(ErrorKind::internal, "the loop's thread");
          ran.push_back(i);
          return {};
        },
        [&, i](const Result<void>& result) {
          CHECK(result);
          CHECK(std::this_thread::get_id() == loop);
          told.push_back(i);
        }));
  run_until_idle(*thread);
  CHECK(ran.size() == 100);
  CHECK(std::ranges::is_sorted(ran));
  CHECK(told == ran);
}

TEST_CASE("a job's error reaches its callback, and a callback may submit", "[writer]") {
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  bool again = false;
  REQUIRE(thread->submit([] { return Result<void>(fail(ErrorKind::limit, "full")); },
                         [&](const Result<void>& result) {
                           REQUIRE_FALSE(result);
                           CHECK(result.error().kind == ErrorKind::limit);
                           REQUIRE(thread->submit([] { return Result<void>(); },
                                                  [&](const Result<void>& second) { again = second.has_value(); }));
                         }));
  run_until_idle(*thread);
  CHECK(again);
}

TEST_CASE("a queue that is full refuses the next job and runs neither it nor its callback", "[writer]") {
  const std::unique_ptr<WriterThread> thread = WriterThread::start(2).value();
  std::promise<void> go;
  REQUIRE(thread->submit(
      [wait = go.get_future().share()] {
        wait.wait();
        return Result<void>();
      },
      {}));
  REQUIRE(thread->submit([] { return Result<void>(); }, {}));
  bool ran = false;
  const Result<void> refused = thread->submit(
      [&] {
        ran = true;
        return Result<void>();
      },
      [&](const Result<void>&) { ran = true; });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::limit);
  go.set_value();
  run_until_idle(*thread);
  CHECK_FALSE(ran);
  CHECK(thread->submit([] { return Result<void>(); }, {}));
}

TEST_CASE("the end of the thread finishes what is queued", "[writer]") {
  int ran = 0;
  {
    const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
    for (int i = 0; i < 50; ++i)
      REQUIRE(thread->submit(
          [&] {
            ++ran;
            return Result<void>();
          },
          {}));
  }
  CHECK(ran == 50);
}
