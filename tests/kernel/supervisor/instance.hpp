// A whole orlop of a test's own: guardian and supervisor on a private directory, spoken to over its socket.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "supervisor/control/client.hpp"
#include "tests/need.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop {

class Instance {
 public:
  /// Starts orlop-init and waits until its orlopd answers.
  Instance();
  /// Asks it to stop everything; kills what is left by its cgroup and pid.
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// A new connection; retried while the supervisor is being replaced.
  control::Client client() const;
  /// Imports the busybox image and returns its reference; done once.
  const std::string& busybox();
  /// Applies `toml`, in which `BUSYBOX` stands for the image's reference.
  Result<std::string> apply(std::string toml, bool dry_run = false);

  nlohmann::json status() const;
  nlohmann::json inspect(const std::string& container) const;
  /// Waits until `container` is in `state`, and returns its inspection; ends the test after `timeout`.
  nlohmann::json await(const std::string& container, const std::string& state,
                       Duration timeout = std::chrono::seconds(20)) const;
  /// Waits until `condition` holds of the inspection of `container`.
  nlohmann::json await(const std::string& container, const std::function<bool(const nlohmann::json&)>& condition,
                       const std::string& what, Duration timeout = std::chrono::seconds(20)) const;
  /// All lines of a container's log, as their texts joined.
  std::string log(const std::string& container) const;

  [[nodiscard]] pid_t guardian() const { return guardian_; }
  [[nodiscard]] pid_t supervisor() const;
  /// kill -9 of orlopd, and waits until another answers.
  void kill_supervisor() const;
  [[nodiscard]] const std::string& root() const { return directory_.path(); }

 private:
  TemporaryDirectory directory_;
  pid_t guardian_ = -1;
  std::string busybox_;
};

}  // namespace orlop
