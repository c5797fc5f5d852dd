// Performs what the core decides about containers, and reports what came of it as events. Decides nothing itself.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "cgroups/tree.hpp"
#include "config/host.hpp"
#include "image/store.hpp"
#include "supervisor/core/effect.hpp"
#include "supervisor/core/event.hpp"
#include "supervisor/dev_log.hpp"
#include "supervisor/directories.hpp"
#include "supervisor/event_loop.hpp"
#include "supervisor/guardian_link.hpp"
#include "supervisor/launcher.hpp"
#include "supervisor/log_pump.hpp"
#include "supervisor/preparation.hpp"
#include "supervisor/probe.hpp"

namespace orlop::supervisor {

/// One start as far as orlopd holds something of it.
struct Live {
  std::string name;
  core::Start start = 0;
  sandbox::Spec spec = {};
  std::string plan = {};  ///< its print; empty for one that was adopted
  cgroups::Limits limits = {};
  std::uint64_t cpu_weight = 0;  ///< as last written to the group; 0: by a predecessor
  pid_t pid = 0;
  UniqueFd pidfd = {};
  std::unique_ptr<cgroups::Group> group = {};
  std::unique_ptr<LogPump> log = {};
  std::unique_ptr<DevLog> dev_log = {};
  std::vector<std::string> health = {};  ///< the command of its health check; empty: none, or not known
  const Probe* probe = nullptr;          ///< the one whose answer counts
  EventSource group_events = {};
  EventSource oom_events = {};
  bool ran_out = false;   ///< the kernel killed inside it for memory
  bool clearing = false;  ///< Cleanup was ordered and waits for the group to empty
};

class Executor {
 public:
  using Report = std::function<void(core::Event)>;

  /// All references are borrowed for the object's life. `report` may be called from inside perform().
  Executor(const EventLoop& loop, GuardianLink& link, Launcher& launcher, const Directories& directories,
           const cgroups::Tree& tree, Preparation& preparation, const image::Store& store, Report report);

  /// The host file from which starts are made from now on.
  void set_host(const config::Host& host) { host_ = &host; }

  void perform(const core::effect::Launch& effect);
  void perform(const core::effect::Signal& effect);
  void perform(const core::effect::KillGroup& effect);
  void perform(const core::effect::Probe& effect);
  void perform(const core::effect::EndProbe& effect);
  void perform(const core::effect::Cleanup& effect);

  /// What is left of a start that a predecessor launched.
  struct Inheritance {
    Running running;  ///< without a pidfd when it has ended
    std::array<UniqueFd, 2> pipes = {};
    UniqueFd dev_log = {};
    Sha256 digest = {};  ///< of the configuration that it was launched from; zeros: unknown
  };
  /// Takes it over: its group, its log pipes, its first process. A configuration that has changed since tells nothing
  /// of its limits and health check.
  Result<void> adopt(const std::string& name, Inheritance inheritance);
  /// The guardian's word that the first process of `exited.start` has ended, as the core reads it.
  [[nodiscard]] core::event::Exited explain(const Exited& exited);
  /// Kills every process of every start that has a cgroup of orlop's, known or not: the guardian is gone.
  void kill_all();
  /// Reports what happened to adopted containers while no orlopd lived, and puts away what none of them owns; call it
  /// once the core knows them.
  void catch_up();

  [[nodiscard]] const Live* find(core::Start start) const;
  /// The record of an image in the store, read once.
  Result<const image::Record*> record_of(const Sha256& manifest);
  void forget_record_of(const Sha256& manifest) { records_.erase(manifest); }

 private:
  Result<void> launch(const core::effect::Launch& effect);
  Result<void> watch(Live& live);
  void probe_ended(core::Start start, std::uint64_t number, bool ok, std::string output);
  void look_for_oom(core::Start start);
  void clear(core::Start start);
  Result<void> know(core::Start start);
  void drop_kept(core::Start start);
  void share_cpu();
  [[nodiscard]] std::string memory_detail(const Live& live) const;

  const EventLoop& loop_;
  GuardianLink& link_;
  Launcher& launcher_;
  const Directories& directories_;
  const cgroups::Tree& tree_;
  Preparation& preparation_;
  const image::Store& store_;
  Report report_;
  const config::Host* host_ = nullptr;
  std::map<core::Start, std::unique_ptr<Live>> live_;
  std::list<std::unique_ptr<Probe>> probes_;  ///< running or dying
  std::map<Sha256, image::Record> records_;
};

/// Names under which the guardian keeps a start's log pipes and the socket behind its /dev/log.
inline std::string output_name(core::Start start) {
  return "stdout/" + std::to_string(start);
}
inline std::string error_name(core::Start start) {
  return "stderr/" + std::to_string(start);
}

inline std::string dev_log_name(core::Start start) {
  return "devlog/" + std::to_string(start);
}

/// The log bounds of a container.
logs::Limits log_limits(const config::Container& container);

}  // namespace orlop::supervisor
