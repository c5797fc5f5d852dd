// One run of the program: what the command line chose, and how it ends.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/error.hpp"
#include "supervisor/control/client.hpp"

namespace orlop::cli {

/// What scripts match on; docs/operations.md is the reference.
namespace exit_code {
inline constexpr int done = 0;
inline constexpr int failed = 1;
inline constexpr int usage = 2;        ///< the command line or the host file is wrong
inline constexpr int not_running = 3;  ///< `status NAME`: not running, or unhealthy (LSB)
inline constexpr int unknown = 4;      ///< `status NAME`: no such container (LSB)
}  // namespace exit_code

/// 2 for a config error, else 1.
int exit_code_of(const Error& error);

/// Opens a file that the command line names; if that fails, the command line is wrong (config). `what` it is in words.
Result<UniqueFd> open_named_file(const std::string& what, const std::string& path);

/// Filled by the parser, then run once. Verbs put their work into `run`.
struct Invocation {
  std::string root;   ///< `--root DIR`; empty: the host's own instance
  bool json = false;  ///< `--json`: standard output is one JSON document, errors included
  /// The chosen verb. Gives the exit code; an error is printed by main, once.
  std::function<Result<int>()> run;

  [[nodiscard]] std::string run_directory() const { return root.empty() ? "/run/orlop" : root + "/run"; }
  [[nodiscard]] std::string state_directory() const { return root.empty() ? "/var/lib/orlop" : root + "/state"; }
  /// A connection to the supervisor of this instance.
  [[nodiscard]] Result<control::Client> connect() const;
};

/// Declares `--json` on a verb that has it.
void add_json_flag(CLI::App& verb, Invocation& invocation);

// The families of verbs. Each adds its verbs to `app`; a verb's callback fills `invocation.run`.
void add_host_file_verbs(CLI::App& app, Invocation& invocation);   ///< apply, check
void add_status_verbs(CLI::App& app, Invocation& invocation);      ///< status, inspect
void add_container_verbs(CLI::App& app, Invocation& invocation);   ///< start, stop, restart, kill, wait
void add_log_verbs(CLI::App& app, Invocation& invocation);         ///< logs
void add_image_verbs(CLI::App& app, Invocation& invocation);       ///< image import, ls, inspect, rm
void add_volume_verbs(CLI::App& app, Invocation& invocation);      ///< volume ls, inspect, rm
void add_audit_verbs(CLI::App& app, Invocation& invocation);       ///< audit show, verify
void add_doctor_verb(CLI::App& app, Invocation& invocation);       ///< doctor
void add_supervisor_verbs(CLI::App& app, Invocation& invocation);  ///< shutdown, version

}  // namespace orlop::cli
