// From a Plan to a running program, with the guardian in between: clone, register, open the gate, read the report. The
// same way for containers and for orlop's own workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/error.hpp"
#include "sandbox/launch.hpp"
#include "supervisor/event_loop.hpp"
#include "supervisor/guardian_link.hpp"

namespace orlop::supervisor {

class Launcher {
 public:
  /// The program runs, or why it does not. Called once for each launch that began, from the loop.
  using Done = std::function<void(Result<void>)>;

  /// Both are borrowed.
  Launcher(const EventLoop& loop, GuardianLink& link) : loop_(loop), link_(link) {}

  /// Clones the child of `plan` and hands it to the guardian as `start`, with `named` kept beside its pidfd. Returns
  /// its pid and pidfd; `done` comes later. An error means that nothing runs and `done` is not called.
  struct Begun {
    pid_t pid = 0;
    UniqueFd pidfd;
  };
  Result<Begun> begin(std::uint64_t start, std::unique_ptr<sandbox::Plan> plan, std::span<const NamedFd> named,
                      Done done);
  /// Ends a launch that is not done yet by closing its gate; `done` comes all the same.
  void cancel(std::uint64_t start);
  /// The name under which the guardian keeps the report of `start`, for the orlopd that comes next.
  static std::string report_name(std::uint64_t start) { return "report/" + std::to_string(start); }

  // What the guardian says of a start that is being launched.
  void registered(std::uint64_t start);
  void gone(std::uint64_t start);
  /// Its process has ended: what its report says comes first, whichever of the two was heard first.
  void ended(std::uint64_t start) { read(start); }
  void refused(std::uint64_t start, const std::string& reason);

 private:
  struct Launching {
    std::unique_ptr<sandbox::Plan> plan;
    UniqueFd gate;
    UniqueFd report;
    EventSource readable;
    Done done;
  };
  void finish(std::uint64_t start, Result<void> result);
  void read(std::uint64_t start);

  const EventLoop& loop_;
  GuardianLink& link_;
  std::map<std::uint64_t, Launching> launching_;
};

}  // namespace orlop::supervisor
