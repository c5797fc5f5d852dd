// Why a container is where it is: one word from a fixed list, and what belongs to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orlop::core {

/// Written to state files, audit records and the bus by name (to_string); never renumbered by name.
enum class Why : std::uint8_t {
  none,
  // it ended by itself
  exited,  ///< detail: the exit code
  signal,  ///< detail: the signal's name
  oom,     ///< detail: the limit and the peak
  unhealthy,
  cannot_start,  ///< detail: the sentence of the launch
  lost,          ///< it ended together with the guardian, or its exit was never reported
  never_ran,     ///< orlopd ended before it had launched it
  // someone wanted it so
  wanted,       ///< a host file or an operator asks for it
  stopped,      ///< by an operator
  restarted,    ///< by an operator
  replaced,     ///< its configuration changed
  removed,      ///< it is no longer in the host file
  requirement,  ///< detail: the container that it requires and that is being stopped
  shutdown,
  killed,  ///< it did not end within its grace; detail: the grace and why it was stopped
  // what follows
  limit,    ///< too many restarts; detail: how many within what
  backoff,  ///< detail: the delay
  started,  ///< it was launched
  adopted,  ///< it was found running by a new orlopd
  healthy,
  signalled,  ///< an operator sent a signal; detail: its name
  trouble,    ///< the host refuses something that will be tried again; detail: the sentence
};
inline constexpr std::size_t why_count = static_cast<std::size_t>(Why::trouble) + 1;

std::string_view to_string(Why why);
std::optional<Why> why_from(std::string_view name);

struct Reason {
  Why why = Why::none;
  std::string detail = {};
  friend bool operator==(const Reason&, const Reason&) = default;
};

/// What `status` shows: `exited 1`, `signal SIGSEGV`, `oom (limit 64MiB, peak 64MiB)`, `stopped by operator`,
/// `killed after 10s (stopped by operator)`, `cannot start: …`, `restart limit (5 within 10min)`.
std::string text(const Reason& reason);

/// Whether a container that was stopped for this is to come back by itself as soon as nothing speaks against it: nobody
/// found fault with it.
bool is_planned(Why why);

/// How a process ended (wait(2)): by `code`, or by `signal` when that is not 0.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

/// The reason that an exit is by itself.
Reason reason_of(const ExitStatus& exit);
/// `SIGTERM`, `SIGRTMIN+3`, or the number of one without a name.
std::string signal_name(int signal);

}  // namespace orlop::core
