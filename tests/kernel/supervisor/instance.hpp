// A whole orlop of a test's own: guardian and supervisor on a private directory, spoken to over its socket.
#pragma once

#include <sys/types.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/audit/reader.hpp"
#include "supervisor/control/client.hpp"
#include "tests/need.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop {

class Instance {
 public:
  struct Options {
    std::string root = {};                   ///< a directory that outlives the instance; empty: one of its own
    std::vector<std::string> guardian = {};  ///< orlop-init's own options, which come before `--root`
  };
  /// Starts orlop-init and waits until its orlopd answers.
  Instance() : Instance(Options{}) {}
  explicit Instance(Options options);
  /// shut_down().
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// A new connection; retried while the supervisor is being replaced.
  control::Client client() const;
  /// Imports the busybox image and returns its reference; done once.
  const std::string& busybox();
  /// Imports it with more mount points, and returns its reference.
  Result<std::string> import_busybox(const std::vector<std::string>& mkdir);
  /// Applies `toml`, in which `BUSYBOX` stands for the image's reference.
  Result<std::string> apply(std::string toml, bool dry_run = false);

  /// The error of an apply, as an operator reads it; ends the test if it is accepted.
  std::string refusal(std::string toml, bool dry_run = false);

  nlohmann::json status() const;
  nlohmann::json inspect(const std::string& container) const;
  /// Waits until `container` is in `state`, and returns its inspection; ends the test after `timeout`.
  nlohmann::json await(const std::string& container, const std::string& state,
                       Duration timeout = std::chrono::seconds(20)) const;
  /// Waits until `condition` holds of the inspection of `container`.
  nlohmann::json await(const std::string& container, const std::function<bool(const nlohmann::json&)>& condition,
                       const std::string& what, Duration timeout = std::chrono::seconds(20)) const;
  /// All lines of a container's log, or those of one start, as their texts joined.
  std::string log(const std::string& container, std::optional<std::uint64_t> start = {}) const;
  /// Waits until the log of `container` contains `words`, and returns it.
  std::string await_log(const std::string& container, const std::string& words,
                        std::optional<std::uint64_t> start = {}) const;
  /// The audit log's entries, the oldest first; ends the test if it is not whole.
  std::vector<audit::Entry> audit() const;

  [[nodiscard]] pid_t guardian() const { return guardian_; }
  [[nodiscard]] pid_t supervisor() const;
  /// kill -9 of orlopd, and waits until another answers.
  void kill_supervisor() const;
  /// Asks it to stop everything, and waits until the guardian has ended; kills it after a while.
  void shut_down();
  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  std::optional<TemporaryDirectory> directory_;
  std::string root_;
  pid_t guardian_ = -1;
  std::string busybox_;
};

}  // namespace orlop
