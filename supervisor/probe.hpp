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
  /// Bytes of its output that are kept; what it writes beyond is read and dropped.
  static constexpr std::size_t max_output_bytes = 4096;
  /// Whether it exited with 0, and what it wrote.
  using Done = std::function<void(bool ok, std::string output)>;

  /// Runs `plan` (of Preparation::inside); `output` is the read end of its pipe. `done` is called once, from the loop,
  /// when it is dead and reaped; it may destroy the Probe.
  static Result<std::unique_ptr<Probe>> begin(const EventLoop& loop, std::uint64_t start, std::uint64_t number,
                                              std::unique_ptr<sandbox::Plan> plan, UniqueFd output, Done done);
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  /// Kills it if it still runs; whoever is the parent then reaps it. orlopd destroys one only at its own end.
  ~Probe();

  /// Kills it, with all that it started. Does not wait: a process can take its time to die.
  void kill() const;
  /// The start of the container that it is of, and its number there.
  [[nodiscard]] std::uint64_t start() const { return start_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  Probe() = default;
  void read_output();
  void ended();

  std::uint64_t start_ = 0;
  std::uint64_t number_ = 0;
  std::unique_ptr<sandbox::Plan> plan_;  ///< for the words of a step that failed
  pid_t pid_ = 0;                        ///< not reaped by anybody else, so never another process; 0: reaped
  UniqueFd pidfd_;
  UniqueFd group_;  ///< of its own, inside the container's
  UniqueFd report_;
  UniqueFd output_;
  std::string written_;
  EventSource end_;
  EventSource readable_;
  Done done_;
};

}  // namespace orlop::supervisor
