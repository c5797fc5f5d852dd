#include "supervisor/launcher.hpp"

#include <fmt/format.h>

#include <vector>

namespace orlop::supervisor {

Result<Launcher::Begun> Launcher::begin(std::uint64_t start, std::unique_ptr<sandbox::Plan> plan,
                                        std::span<const NamedFd> named, Done done) {
  Result<sandbox::Launched> launched = sandbox::launch(*plan, sandbox::Parentage::of_callers_parent);
  if (!launched) return pass(std::move(launched));
  // Until here a failure closes the gate with `launched`, and the child ends by itself; the guardian reaps it as a
  // stranger.
  const std::string name = report_name(start);
  std::vector<NamedFd> kept = {{name, launched->report}};
  kept.insert(kept.end(), named.begin(), named.end());
  if (Result<void> handed = link_.register_start(start, launched->pid, launched->pidfd, kept); !handed)
    return pass(std::move(handed));
  Result<EventSource> readable = loop_.io(launched->report, EPOLLIN, [this, start](std::uint32_t) { read(start); });
  if (!readable) return pass(std::move(readable));
  launching_.emplace(start, Launching{std::move(plan), std::move(launched->gate), std::move(launched->report),
                                      std::move(*readable), std::move(done)});
  return Begun{launched->pid, std::move(launched->pidfd)};
}

void Launcher::cancel(std::uint64_t start) {
  if (const auto found = launching_.find(start); found != launching_.end()) found->second.gate.reset();
}

void Launcher::registered(std::uint64_t start) {
  const auto found = launching_.find(start);
  if (found == launching_.end() || !found->second.gate) return;
  (void)sandbox::release(found->second.gate);  // a child that is gone says so by its report and its exit
  found->second.gate.reset();
}

void Launcher::gone(std::uint64_t start) {
  finish(start, fail(ErrorKind::conflict, "it ended before it could begin"));
}

void Launcher::refused(std::uint64_t start, const std::string& reason) {
  finish(start, fail(ErrorKind::limit, fmt::format("the guardian cannot keep it: {}", reason)));
}

void Launcher::read(std::uint64_t start) {
  const auto found = launching_.find(start);
  if (found == launching_.end()) return;
  Result<std::optional<sandbox::StepFailure>> report = sandbox::read_report(found->second.report);
  if (!report) return finish(start, pass(std::move(report)));
  if (*report) return finish(start, std::unexpected(sandbox::explain(**report, found->second.plan.get())));
  finish(start, {});
}

void Launcher::finish(std::uint64_t start, Result<void> result) {
  const auto found = launching_.find(start);
  if (found == launching_.end()) return;
  const Done done = std::move(found->second.done);
  launching_.erase(found);
  (void)link_.drop(report_name(start));  // fails only when the guardian is gone, which the link's own watch tells
  done(std::move(result));
}

}  // namespace orlop::supervisor
