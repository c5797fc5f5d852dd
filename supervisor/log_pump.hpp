// The pipes of one start on their way into its spools, as a part of the loop.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/event_loop.hpp"
#include "supervisor/logs/spool.hpp"

namespace orlop::supervisor {

class LogPump {
 public:
  /// Opens the spools of `folder` below `directory` (borrowed), marks the begin of run `start` and pumps from then on.
  /// `pipes`: read ends of standard output and standard error.
  static Result<std::unique_ptr<LogPump>> open(const EventLoop& loop, BorrowedFd directory, const std::string& folder,
                                               const logs::Limits& limits, std::uint64_t start,
                                               std::array<UniqueFd, 2> pipes);
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;
  /// Moves what the pipes hold and marks the end of the run.
  void finish();
  /// The read end of the standard output's pipe, for as long as finish() was not called.
  [[nodiscard]] BorrowedFd output() const { return lanes_[0]->pipe; }
  /// The sentence of the last trouble with the disk; empty when all is well.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  struct Lane {
    logs::Spool spool;
    UniqueFd pipe;
    EventSource readable;
    EventSource timer;
  };
  LogPump() = default;
  void pump(Lane& lane);

  std::array<std::unique_ptr<Lane>, 2> lanes_;
  std::string trouble_;
};

}  // namespace orlop::supervisor
