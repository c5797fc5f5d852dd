#include "supervisor/probe.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sandbox/launch.hpp"

namespace orlop::supervisor {

Result<std::unique_ptr<Probe>> Probe::begin(const EventLoop& loop, std::uint64_t number,
                                            std::unique_ptr<sandbox::Plan> plan, UniqueFd output, Done done) {
  std::unique_ptr<Probe> probe(new Probe);
  Result<sandbox::Launched> launched = sandbox::launch(*plan, sandbox::Parentage::of_caller);
  if (!launched) return fail(std::move(launched), "cannot run the health check");
  probe->number_ = number;
  probe->plan_ = std::move(plan);
  probe->pid_ = launched->pid;
  probe->pidfd_ = std::move(launched->pidfd);
  probe->report_ = std::move(launched->report);
  probe->output_ = std::move(output);
  probe->done_ = std::move(done);
  Probe* self = probe.get();
  Result<EventSource> end = loop.io(probe->pidfd_, EPOLLIN, [self](std::uint32_t) { self->ended(); });
  if (!end) return pass(std::move(end));
  probe->end_ = std::move(*end);
  (void)sandbox::release(launched->gate);  // a child that is gone is told by its pidfd
  // What the plan held for the child is the child's now; kept here, the pipe would never end.
  probe->plan_->resources = {};
  return probe;
}

Probe::~Probe() {
  if (pid_ > 0) (void)reap();
}

int Probe::reap() {
  (void)::kill(-pid_, SIGKILL);  // ESRCH: it did not get as far as a session of its own
  (void)::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  pid_ = 0;
  return status;
}

void Probe::ended() {
  end_.reset();
  const int status = reap();
  std::string output;
  if (const Result<std::optional<sandbox::StepFailure>> report = sandbox::read_report(report_); report && *report) {
    output = sentence(sandbox::explain(**report, plan_.get()));
  } else {
    std::array<char, max_output_bytes> bytes;
    ssize_t count = 0;
    while (output.size() < max_output_bytes &&
           (count = ::read(output_.get(), bytes.data(), max_output_bytes - output.size())) > 0)
      output.append(bytes.data(), static_cast<std::size_t>(count));
  }
  output.erase(output.find_last_not_of(" \n\r\t") + 1);  // it becomes part of a sentence
  const Done done = std::move(done_);
  done(WIFEXITED(status) && WEXITSTATUS(status) == 0, std::move(output));
}

}  // namespace orlop::supervisor
