#include "supervisor/audit/writer.hpp"

#include <catch2/catch.hpp>

#include <poll.h>

#include "tests/unit/audit/log_fixture.hpp"

using namespace orlop;
using namespace orlop::audit;
using orlop::writer::WriterThread;

namespace {

void run_until_idle(WriterThread& thread) {
  while (thread.pending() != 0) {
    pollfd event{.fd = thread.completed_fd().get(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&event, 1, 10'000) == 1);
    thread.process_completed();
  }
}

}  // namespace

TEST_CASE("records are on the disk when their callbacks say so, in order, in few groups", "[audit]") {
  LogFixture log;
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  Writer writer(log.open(), *thread);
  int told = 0;
  std::size_t most_pending = 0;
  for (int i = 0; i < 500; ++i) {
    REQUIRE(writer.append(change(fmt::format("container/c{}", i)), [&, i](const Result<void>& result) {
      CHECK(result);
      CHECK(told++ == i);
      if (i % 100 == 0) CHECK(log.verify().records > static_cast<std::uint64_t>(i));
    }));
    most_pending = std::max(most_pending, thread->pending());
  }
  run_until_idle(*thread);
  CHECK(told == 500);
  CHECK(most_pending == 1);  // one group under way, the rest gathers
  const Verified verified = log.verify();
  CHECK_FALSE(verified.fault);
  CHECK(verified.records == 500);
  CHECK(verified.beyond_head == 0);
}

TEST_CASE("a repeated refusal is answered though it is only counted, and the count is written in its time",
          "[audit][T76]") {
  LogFixture log;
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  Writer writer(log.open(), *thread);
  int told = 0;
  for (int i = 0; i < 10; ++i)
    REQUIRE(writer.append(refusal(1000, "container/web"), [&](const Result<void>& result) { told += result ? 1 : 0; }));
  run_until_idle(*thread);
  CHECK(told == 10);
  CHECK(log.verify().records == 1);
  REQUIRE(writer.next_tick());
  writer.tick(*writer.next_tick());
  run_until_idle(*thread);
  CHECK(log.entries().at(1).record.repeats == 9);
  CHECK_FALSE(writer.next_tick());
}

TEST_CASE("more records than may wait are refused, and none of those that wait is lost", "[audit]") {
  LogFixture log;
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  Writer writer(log.open(), *thread);
  std::uint64_t accepted = 0;
  std::uint64_t written = 0;
  for (std::size_t i = 0; i < Writer::max_queued + 10; ++i) {
    const Result<void> result =
        writer.append(change("container/web"), [&](const Result<void>& done) { written += done ? 1 : 0; });
    if (result) ++accepted;
    if (!result) CHECK(result.error().kind == ErrorKind::limit);
  }
  CHECK(accepted == Writer::max_queued + 1);  // the first went to the thread at once
  run_until_idle(*thread);
  CHECK(written == accepted);
  CHECK(log.verify().records == accepted);
}

TEST_CASE("a record with endless texts is refused before it is queued", "[audit]") {
  LogFixture log;
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  Writer writer(log.open(), *thread);
  Record record = change(std::string(Writer::max_text_bytes + 1, '\x01'));
  CHECK(writer.append(record, {}).error().kind == ErrorKind::limit);
  record.object.resize(Writer::max_text_bytes - 100);
  REQUIRE(writer.append(record, [](const Result<void>& result) { CHECK(result); }));
  run_until_idle(*thread);
}

TEST_CASE("the thread may outlive the writer", "[audit]") {
  LogFixture log;
  const std::unique_ptr<WriterThread> thread = WriterThread::start().value();
  bool told = false;
  {
    Writer writer(log.open(), *thread);
    REQUIRE(writer.append(change("container/web"), [&](const Result<void>&) { told = true; }));
  }
  run_until_idle(*thread);
  CHECK_FALSE(told);
  CHECK(log.verify().records == 1);
}
