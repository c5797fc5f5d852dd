// Waits for a log to grow, without a path and without asking again and again: inotify(7) on the descriptors that the
// supervisor handed out.
#pragma once

#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/time.hpp"
#include "supervisor/logs/files.hpp"

namespace orlop::cli {

class LogWatch {
 public:
  static Result<LogWatch> make();
  /// Watches all files of `source`. Add before reading them: what is written in between then wakes wait().
  Result<void> add(const logs::Source& source);
  /// Waits until a watched file grew: true; or until `timeout` has passed: false.
  Result<bool> wait(std::optional<std::chrono::milliseconds> timeout);

 private:
  explicit LogWatch(UniqueFd inotify) : inotify_(std::move(inotify)) {}
  UniqueFd inotify_;
};

}  // namespace orlop::cli
