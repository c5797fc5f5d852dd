// A model of everything around the core: kernel, guardian, disk and operator. It performs the core's effects as the
// executor must, tells it what came of them late, twice or out of order, and kills orlopd, the guardian or the whole
// host between any two effects. It holds what it knows against what the core must keep (decide.hpp); the first breach
// ends the history.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "history.hpp"
#include "random.hpp"
#include "supervisor/core/decide.hpp"

namespace orlop::simulation {

using namespace orlop::core;

/// The first process of a start, from clone3 until the guardian may forget it.
struct Child {
  enum class Stage : std::uint8_t { gate, setting_up, running, dead };
  std::string name;
  Stage stage = Stage::gate;
  bool ran = false;  ///< its program began
  bool oom = false;
  ExitStatus exit = {};
};

/// A record in such a phase says that its start may have a process.
constexpr bool may_live(Phase phase) {
  return phase >= Phase::preparing && phase <= Phase::stopping;
}

struct Disk {
  std::map<std::string, Record> boot;     ///< gone after a reboot
  std::map<std::string, Record> lasting;  ///< what was written to outlast a power loss
  HostWanted host;
  Start reserved = 0;
  bool full = false;
};

class World {
 public:
  World(const Options& options, Counts& counts);

  /// One act of chaos, chosen by the dice.
  void chaos();
  /// One act of a world that works: the oldest report, write or process first, then time.
  void calm();
  /// From now on nothing goes wrong by itself.
  void make_quiet();
  /// Reports or writes are under way.
  [[nodiscard]] bool is_busy() const { return !reports_.empty() || !writes_.empty(); }
  /// What is not yet as it is wished; empty: nothing.
  [[nodiscard]] std::string unreached() const;
  [[nodiscard]] const std::string& breach() const { return breach_; }

 private:
  // world.cpp: time, processes, the guardian, the disk
  void start_orlopd();
  void crash_orlopd();
  void crash_guardian(bool reboot);
  void deliver(const Event& event);
  void deliver_report(std::size_t index);
  void report(Event event);
  void write_one();
  void advance(Start start, Child& child);
  void die(Start start, Child& child, ExitStatus exit, bool oom = false);
  void go_on();
  void exit_by_chance(Start start, Child& child);
  void tick();
  void count(const std::string& what) { ++counts_[what]; }
  void trace(const std::string& line) const;

  // executor.cpp: what the executor does
  void perform(const Effect& effect);
  void perform(const effect::Announce& effect);
  void perform(const effect::Persist& effect);
  void perform(const effect::Forget& effect);
  void perform(const effect::Reserve& effect);
  void perform(const effect::Launch& effect);
  void perform(const effect::Signal& effect);
  void perform(const effect::KillGroup& effect);
  void perform(const effect::Probe& effect);
  void perform(const effect::EndProbe& effect);
  void perform(const effect::Cleanup& effect);
  void perform(const effect::AckExit& effect);
  void perform(const effect::Refused& effect);
  void perform(const effect::WakeAt& effect);
  void perform(const effect::ShutdownDone& effect);

  // operator.cpp
  void apply(HostWanted host);
  HostWanted another_host();
  Wanted another_wanted(const std::string& name, const HostWanted& host);
  void ask();

  // invariants.cpp
  void found_breach(std::string what);
  void check_start(const std::string& name, Start start);
  void check_launch(const effect::Launch& launch);
  void check_world();
  void note_exit(const event::Exited& exited);

  const Options options_;
  Counts& counts_;
  Random dice_;
  std::string breach_;
  bool quiet_ = false;

  BootTime now_{std::chrono::hours(1)};
  std::optional<State> core_;  ///< nothing: orlopd is dead
  std::vector<Event> reports_;
  using Write = std::variant<effect::Persist, effect::Forget, effect::Reserve>;
  std::deque<Write> writes_;
  std::optional<BootTime> timer_;

  Disk disk_;
  std::map<Start, Child> children_;  ///< what the guardian knows
  std::set<Start> groups_;
  std::uint64_t era_ = 1;  ///< the guardian's life
  bool shutdown_done_ = false;
  bool crashed_ = false;  ///< within the effects of one decision

  // what the invariants remember
  std::set<Start> launched_;
  Start excused_ = 0;                         ///< starts up to this one may have ended unseen with a guardian
  std::set<Start> told_;                      ///< ends that were announced in any life
  std::set<Start> told_this_life_;            ///< ends that this orlopd announced
  std::set<Start> healthy_;                   ///< a probe of it succeeded in this life
  std::map<std::string, BootTime> earliest_;  ///< a restart by policy must not come sooner
  std::map<std::string, Wish> said_;          ///< the operator's last word that the disk took
  std::uint64_t digests_ = 0;
};

/// For --trace.
std::string text(const Event& event);
std::string text(const Effect& effect);

}  // namespace orlop::simulation
