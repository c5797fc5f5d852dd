// The one thread of orlopd beside its loop: it does what waits on a disk, so that the loop never does.
//
// Jobs run one after another in the order of their submission; nothing of a job is shared with the loop while it is
// queued or runs, so jobs need no locks. When a job is done its callback runs on the loop's thread, from
// process_completed(). A job must own all that it touches, or borrow what nobody touches until its callback.
//
// Start it after orlopd has entered its mount namespace: setns(2) and unshare(2) refuse a process with two threads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::writer {

class WriterThread {
 public:
  using Job = std::function<Result<void>()>;
  using Done = std::function<void(Result<void>)>;

  /// @param max_jobs  jobs that may be queued, running or waiting for process_completed() at one time
  /// @return kernel/… when there is no descriptor or thread to be had
  static Result<std::unique_ptr<WriterThread>> start(std::size_t max_jobs = 1024);
  /// Finishes the jobs that are queued; callbacks that were not run yet are dropped.
  ~WriterThread();
  WriterThread(const WriterThread&) = delete;
  WriterThread& operator=(const WriterThread&) = delete;

  /// Queues `job`; `done` gets its result on the caller's thread later, never from inside this call.
  /// limit/… when max_jobs are under way: neither runs.
  Result<void> submit(Job job, Done done);
  /// Readable (eventfd) when callbacks wait.
  [[nodiscard]] BorrowedFd completed_fd() const { return completed_event_; }
  /// Runs the callbacks of finished jobs. They may submit.
  void process_completed();
  /// Jobs whose callback has not run yet.
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  struct Work {
    Job job;
    Done done;
  };
  struct Finished {
    Done done;
    Result<void> result;
  };
  WriterThread(UniqueFd completed_event, std::size_t max_jobs);
  void run();

  UniqueFd completed_event_;
  std::size_t max_jobs_;
  std::size_t pending_ = 0;  ///< the loop's

  std::mutex mutex_;  ///< guards the four below
  std::condition_variable wake_;
  std::deque<Work> queued_;
  std::deque<Finished> finished_;
  bool stopping_ = false;
  std::thread thread_;  ///< last: it uses all above
};

}  // namespace orlop::writer
