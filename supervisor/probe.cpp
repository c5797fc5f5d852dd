#include "supervisor/probe.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "cgroups/group.hpp"
#include "sandbox/launch.hpp"

namespace orlop::supervisor {

Result<std::unique_ptr<Probe>> Probe::begin(const EventLoop& loop, std::uint64_t start, std::uint64_t number,
                                            std::unique_ptr<sandbox::Plan> plan, UniqueFd output, Done done) {
  std::unique_ptr<Probe> probe(new Probe);
  Result<sandbox::Launched> launched = sandbox::launch(*plan, sandbox::Parentage::of_caller);
  if (!launched) return fail(std::move(launched), "cannot run the health check");
  probe->start_ = start;
  probe->number_ = number;
  probe->plan_ = std::move(plan);
  probe->group_ = std::move(probe->plan_->resources.cgroup);
  probe->pid_ = launched->pid;
  probe->pidfd_ = std::move(launched->pidfd);
  probe->report_ = std::move(launched->report);
  probe->output_ = std::move(output);
  probe->done_ = std::move(done);
  Probe* self = probe.get();
  Result<EventSource> end = loop.io(probe->pidfd_, EPOLLIN, [self](std::uint32_t) { self->ended(); });
  if (!end) return pass(std::move(end));
  probe->end_ = std::move(*end);
  Result<EventSource> readable = loop.io(probe->output_, EPOLLIN, [self](std::uint32_t) { self->read_output(); });
  if (!readable) return pass(std::move(readable));
  probe->readable_ = std::move(*readable);
  (void)sandbox::release(launched->gate);  // a child that is gone is told by its pidfd
  // What the plan held for the child is the child's now; kept here, the pipe would never end.
  probe->plan_->resources = {};
  return probe;
}

Probe::~Probe() {
  kill();
}

void Probe::kill() const {
  if (pid_ <= 0) return;
  (void)cgroups::kill_group(group_);
  (void)::kill(pid_, SIGKILL);
}

void Probe::read_output() {
  std::array<char, max_output_bytes> bytes;
  const ssize_t count = ::read(output_.get(), bytes.data(), bytes.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return readable_.reset();
  written_.append(bytes.data(), std::min(static_cast<std::size_t>(count), max_output_bytes - written_.size()));
}

void Probe::ended() {
  end_.reset();
  kill();  // what it left in its group
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;  // it is dead: this does not wait
  pid_ = 0;
  read_output();
  readable_.reset();
  if (const Result<std::optional<sandbox::StepFailure>> report = sandbox::read_report(report_); report && *report)
    written_ = sentence(sandbox::explain(**report, plan_.get()));
  written_.erase(written_.find_last_not_of(" \n\r\t") + 1);  // it becomes part of a sentence
  const Done done = std::move(done_);
  done(WIFEXITED(status) && WEXITSTATUS(status) == 0, std::move(written_));
}

}  // namespace orlop::supervisor
