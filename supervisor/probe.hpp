// One run of a health check: a program inside the container, a child of orlopd's own, under the container's user and
// limits.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "sandbox/plan.hpp"
#include "supervisor/event_loop.hpp"

namespace orlop::supervisor {

class Probe {
 public:
  /// Bytes of its output that are kept.
  static constexpr std::size_t max_output_bytes = 4096;
  /// Whether it exited with 0, and what it wrote (the first bytes).
  using Done = std::function<void(bool ok, std::string output)>;

  /// Runs `plan` (of Preparation::inside); `output` is the read end of its pipe. `done` is called once from the loop
  /// unless the probe is destroyed before.
  static Result<std::unique_ptr<Probe>> begin(const EventLoop& loop, std::uint64_t number,
                                              std::unique_ptr<sandbox::Plan> plan, UniqueFd output, Done done);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  /// Kills it, with its session, if it still runs, and reaps it.
  ~Probe();

  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  Probe() = default;
  void ended();
  /// Kills the session and waits for its leader, which is dying: no pid can have been given out again before.
  int reap();

  std::uint64_t number_ = 0;
  std::unique_ptr<sandbox::Plan> plan_;
  pid_t pid_ = 0;
  UniqueFd pidfd_;
  UniqueFd report_;
  UniqueFd output_;
  EventSource end_;
  Done done_;
};

}  // namespace orlop::supervisor
