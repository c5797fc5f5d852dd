#include "supervisor/writer/writer_thread.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace orlop::writer {

WriterThread::WriterThread(UniqueFd completed_event, std::size_t max_jobs)
    : completed_event_(std::move(completed_event)), max_jobs_(max_jobs) {}

Result<std::unique_ptr<WriterThread>> WriterThread::start(std::size_t max_jobs) {
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail_errno(errno, "eventfd", "cannot start the writer thread");
  std::unique_ptr<WriterThread> writer(new WriterThread(std::move(event), max_jobs));
  // A new thread inherits the mask: signals stay the loop's.
  sigset_t all;
  sigset_t before;
  (void)::sigfillset(&all);
  (void)::pthread_sigmask(SIG_SETMASK, &all, &before);
  int refused = 0;
  try {
    writer->thread_ = std::thread([loop = writer.get()] { loop->run(); });
  } catch (const std::system_error& error) {
    refused = error.code().value();
  }
  (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (refused != 0) return fail_errno(refused, "pthread_create", "cannot start the writer thread");
  return writer;
}

WriterThread::~WriterThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Result<void> WriterThread::submit(Job job, Done done) {
  if (pending_ >= max_jobs_)
    return fail(ErrorKind::limit, fmt::format("{} writes wait for the disk already", pending_));
  {
    const std::lock_guard lock(mutex_);
    queued_.push_back({.job = std::move(job), .done = std::move(done)});
  }
  ++pending_;
  wake_.notify_one();
  return {};
}

void WriterThread::process_completed() {
  std::uint64_t count = 0;
  (void)!::read(completed_event_.get(), &count, sizeof count);  // EAGAIN: nothing new, and the queue says so too
  std::deque<Finished> finished;
  {
    const std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  for (Finished& one : finished) {
    --pending_;
    if (one.done) one.done(std::move(one.result));
  }
}

void WriterThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
    if (queued_.empty()) return;
    Work work = std::move(queued_.front());
    queued_.pop_front();
    lock.unlock();
    Result<void> result = work.job();
    work.job = nullptr;  // what it owns goes here, before the callback can run
    lock.lock();
    finished_.push_back({.done = std::move(work.done), .result = std::move(result)});
    const std::uint64_t one = 1;
    (void)!::write(completed_event_.get(), &one, sizeof one);  // fails only when it is readable already
  }
}

}  // namespace orlop::writer
