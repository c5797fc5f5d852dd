// What the operator wants of each container, as far as its life is concerned: the core never sees images, mounts or
// limits, only a digest of them all. Made by config/ from host.toml; plain data.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/time.hpp"

namespace orlop::core {

/// When a container that ended by itself is started again. The words are Docker's; what they mean here is in
/// docs/life.md.
enum class Policy : std::uint8_t {
  no,              ///< never
  on_failure,      ///< when it ended otherwise than by `exit 0`
  always,          ///< whatever it ended by
  unless_stopped,  ///< as always; and a stop by hand outlasts a reboot
};

struct Restart {
  Policy policy = Policy::always;
  Duration backoff_min = std::chrono::seconds(1);  ///< before the first restart; doubles with each failure
  Duration backoff_max = std::chrono::minutes(1);  ///< at least backoff_min; a run this long starts over at backoff_min
  std::uint32_t limit = 0;                         ///< restarts within `window` before it is failed; 0: no limit
  Duration window = std::chrono::minutes(10);
  friend bool operator==(const Restart&, const Restart&) = default;
};

struct Stop {
  int signal = 15;                            ///< SIGTERM
  Duration grace = std::chrono::seconds(10);  ///< from the signal to the kill of the whole group
  friend bool operator==(const Stop&, const Stop&) = default;
};

/// What follows when a running container is found unhealthy.
enum class Unhealthy : std::uint8_t {
  restart,  ///< it is stopped, and the restart policy takes it for a failure
  stop,     ///< it is stopped and failed
  report,   ///< nothing: status says so
};

struct HealthCheck {
  Duration interval = std::chrono::seconds(30);  ///< from one answer to the next probe
  Duration timeout = std::chrono::seconds(30);
  std::uint32_t retries = 3;  ///< failures in a row that make it unhealthy; at least 1
  Duration start_period{};    ///< failures this soon after the start, before the first success, do not count
  Unhealthy then = Unhealthy::restart;
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

enum class Run : std::uint8_t {
  always,   ///< a service: `restart` says what follows its end
  once,     ///< a task: done, until it changes, when it has ended with 0; failed otherwise
  on_boot,  ///< a task done afresh at each start of the host
};

/// One container.
struct Wanted {
  Sha256 digest;                          ///< of its whole effective configuration: another digest is another container
  std::vector<std::string> after;         ///< starts when these have come up or cannot; stops before them
  std::vector<std::string> requirements;  ///< starts when these are ready; is stopped with them
  Restart restart;
  Stop stop;
  std::optional<HealthCheck> health;
  Run run = Run::always;
  friend bool operator==(const Wanted&, const Wanted&) = default;
};

/// The whole host, by container name. config/ has refused names that are not there and circles of after and requires;
/// the core stays safe without that: what waits for itself waits, and says for whom.
using HostWanted = std::map<std::string, Wanted>;

}  // namespace orlop::core
