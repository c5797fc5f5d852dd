// orlopd: the loop that feeds the core with events, performs its effects, and answers the control socket.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "cgroups/tree.hpp"
#include "config/host.hpp"
#include "image/store.hpp"
#include "sandbox/id_range.hpp"
#include "supervisor/audit/writer.hpp"
#include "supervisor/control/server.hpp"
#include "supervisor/control/service.hpp"
#include "supervisor/core/decide.hpp"
#include "supervisor/directories.hpp"
#include "supervisor/event_loop.hpp"
#include "supervisor/executor.hpp"
#include "supervisor/guardian_link.hpp"
#include "supervisor/id_map.hpp"
#include "supervisor/image_intake.hpp"
#include "supervisor/launcher.hpp"
#include "supervisor/mount_view.hpp"
#include "supervisor/places.hpp"
#include "supervisor/preparation.hpp"
#include "supervisor/records.hpp"
#include "supervisor/sealed_images.hpp"
#include "supervisor/writer/writer_thread.hpp"

namespace orlop::supervisor {

struct Options {
  std::string root;           ///< `--root DIR`; empty: the host's own places
  std::string cgroup_parent;  ///< `--cgroup-parent GROUP`; empty: below orlop's own group
};

class Supervisor final : public control::Service {
 public:
  /// Starts up: locks the instance, takes back what the guardian kept, enters or makes the mount view, and adopts or
  /// starts what the applied file wants. `socket` is the pair's end.
  static Result<std::unique_ptr<Supervisor>> create(const Options& options, UniqueFd socket);
  ~Supervisor() override;

  /// Runs until everything is stopped; the program's exit status.
  Result<int> run();

  // --- control::Service (service.cpp) ---
  void apply(const control::Peer& peer, control::ApplyRequest request, control::Reply<std::string> reply) override;
  void import_image(const control::Peer& peer, control::ImportRequest request,
                    control::Reply<std::string> reply) override;
  void list_images(const control::Peer& peer, control::Reply<std::string> reply) override;
  void inspect_image(const control::Peer& peer, std::string image, control::Reply<std::string> reply) override;
  void remove_image(const control::Peer& peer, std::string image, control::Reply<void> reply) override;
  void list_volumes(const control::Peer& peer, control::Reply<std::string> reply) override;
  void inspect_volume(const control::Peer& peer, std::string volume, control::Reply<std::string> reply) override;
  void remove_volume(const control::Peer& peer, std::string volume, control::Reply<void> reply) override;
  void status(const control::Peer& peer, control::Reply<std::string> reply) override;
  void effective(const control::Peer& peer, control::Reply<std::string> reply) override;
  void audit_files(const control::Peer& peer, control::Reply<control::Files> reply) override;
  void shutdown(const control::Peer& peer, control::Reply<void> reply) override;
  void start(const control::Peer& peer, std::string container, control::Reply<void> reply) override;
  void stop(const control::Peer& peer, std::string container, control::Reply<void> reply) override;
  void restart(const control::Peer& peer, std::string container, control::Reply<void> reply) override;
  void kill(const control::Peer& peer, std::string container, std::string signal, control::Reply<void> reply) override;
  void wait(const control::Peer& peer, std::string container, control::Reply<control::Exit> reply) override;
  void inspect(const control::Peer& peer, std::string container, control::Reply<std::string> reply) override;
  void plan(const control::Peer& peer, std::string container, control::Reply<std::string> reply) override;
  void log_files(const control::Peer& peer, std::string container, control::Reply<control::Files> reply) override;
  [[nodiscard]] control::SupervisorView view() const override;
  [[nodiscard]] std::vector<std::string> containers() const override;
  [[nodiscard]] std::optional<control::ContainerView> find(std::string_view container) const override;
  void refused(const control::Peer& peer, const std::string& what) override;

 private:
  explicit Supervisor(GuardianLink link) : link_(std::move(link)) {}

  // --- startup (startup.cpp) ---
  Result<void> start_up(const Options& options);
  Result<void> take_places(const Options& options);
  Result<void> end_workers();
  Result<void> open_rooms();
  Result<void> serve(std::optional<UniqueFd> listener);
  Result<void> recover();
  void note_damage(const Error& error);
  void adopt(const std::string& name, Running running, const std::map<std::string, core::Record>& records);
  Result<std::vector<core::event::Found>> adopt_running(const std::map<std::string, core::Record>& records);

  // --- the loop (supervisor.cpp) ---
  void decide(core::Event event);
  void perform(const core::Effect& effect);
  void persist(const core::effect::Persist& effect);
  void forget(const core::effect::Forget& effect);
  void reserve(const core::effect::Reserve& effect);
  void announce(const core::effect::Announce& effect);
  void end();
  void hear_guardian();
  void mind_link();
  void handle(Message message);
  void settle();
  void guardian_is_gone(const Error& error);
  void end_damaged();

  // --- requests (service.cpp, apply.cpp) ---
  struct Applying;
  /// Records that `peer` does `what` to `object`, then goes on; refuses the request when that cannot be recorded.
  template <class T>
  void recorded(const control::Peer& peer, std::string what, std::string object, control::Reply<T> reply,
                std::function<void(control::Reply<T>)> go_on);
  void ask(const control::Peer& peer, const core::event::Asked& asked, std::string what, control::Reply<void> reply);
  void settle_waiters();
  [[nodiscard]] std::optional<Error> why_no_changes() const;
  [[nodiscard]] std::optional<Error> why_image_stays(const image::Record& record) const;
  [[nodiscard]] std::optional<Error> why_volume_stays(const std::string& volume) const;
  Result<std::vector<std::string>> check_images(const config::Host& host);
  void finish_apply(const std::shared_ptr<Applying>& applying, Result<void> claimed);

  // The last is destroyed first. Queued jobs of the writer thread run until `writer_` is gone: what they use stands
  // above it.
  EventLoop loop_;
  GuardianLink link_;
  Places places_;
  UniqueFd lock_;
  std::optional<gid_t> readers_;  ///< the group `orlop`, where the host has it
  std::optional<MountView> mounts_;
  Directories directories_;
  std::optional<cgroups::Tree> tree_;
  std::optional<sandbox::IdRanges> ranges_;  ///< the writer thread's, but for start-up
  IdMap ids_;
  std::optional<image::Store> store_;
  std::unique_ptr<SealedImages> images_;
  std::unique_ptr<writer::WriterThread> writer_;
  std::unique_ptr<audit::Writer> audit_;
  std::unique_ptr<Preparation> preparation_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<ImageIntake> intake_;
  std::unique_ptr<control::Server> server_;

  EventSource link_source_;
  EventSource after_source_;
  EventSource writer_source_;
  EventSource wake_source_;
  EventSource audit_source_;
  EventSource refill_source_;

  Replay replay_;
  std::string era_;     ///< names the guardian's life
  std::string damage_;  ///< why no container is touched and no change accepted; empty when all is well
  config::Host host_;
  core::State state_;
  std::deque<core::Event> events_;
  bool deciding_ = false;
  bool applying_ = false;
  std::optional<core::effect::Refused> refusal_;  ///< of the request that is being decided
  std::set<std::string> changed_;                 ///< containers whose properties clients must be told of
  std::set<std::string> known_;                   ///< containers that clients know

  struct Waiter {
    std::string name;
    core::event::Ask ask = core::event::Ask::start;
    core::Start start_before = 0;
    control::Reply<void> reply;
  };
  std::list<Waiter> waiters_;
  struct ExitWaiter {
    std::string name;
    core::Start start = 0;  ///< 0: the run that is to begin
    control::Reply<control::Exit> reply;
  };
  std::list<ExitWaiter> exit_waiters_;
  std::list<control::Reply<void>> shutdown_waiters_;
};

}  // namespace orlop::supervisor
