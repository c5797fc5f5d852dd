// What clients ask for, but for apply (apply.cpp): every answer, and the record that each change begins with.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "config/effective.hpp"
#include "config/signal.hpp"
#include "sandbox/seccomp.hpp"
#include "supervisor/audit/reader.hpp"
#include "supervisor/logs/files.hpp"
#include "supervisor/supervisor.hpp"
#include "supervisor/view_json.hpp"

namespace orlop::supervisor {
namespace {

using control::Peer;
using control::Reply;

audit::Record record_of(const Peer& peer, std::string what, std::string object) {
  audit::Record record;
  record.actor = audit::Client{peer.uid, peer.pid, peer.executable};
  record.what = std::move(what);
  record.object = std::move(object);
  record.why = "client";
  return record;
}

// A name of signal(7), or a number from 1 to 64.
std::optional<int> signal_of(const std::string& written) {
  int number = 0;
  const char* end = written.data() + written.size();
  if (const auto [stopped, error] = std::from_chars(written.data(), end, number);
      error == std::errc{} && stopped == end)
    return number >= 1 && number <= 64 ? std::optional(number) : std::nullopt;
  return config::signal_number(written);
}

bool at_rest(core::Phase phase) {
  return phase == core::Phase::stopped || phase == core::Phase::failed || phase == core::Phase::gone;
}

}  // namespace

std::optional<Error> Supervisor::why_no_changes() const {
  if (!damage_.empty())
    return fail(ErrorKind::corrupt, "orlopd changes nothing: " + damage_,
                "move the file that is named away; then end orlopd, and its guardian starts it anew")
        .error();
  if (state_.shutdown != core::Shutdown::no) return fail(ErrorKind::conflict, "orlopd is shutting down").error();
  return std::nullopt;
}

template <class T>
void Supervisor::recorded(const Peer& peer, std::string what, std::string object, Reply<T> reply,
                          std::function<void(Reply<T>)> go_on) {
  if (std::optional<Error> refusal = why_no_changes()) return reply.answer(std::unexpected(std::move(*refusal)));
  auto kept = std::make_shared<Reply<T>>(std::move(reply));
  const std::string doing = fmt::format("{} of {} cannot be recorded, and is refused", what, object);
  const Result<void> queued = audit_->append(record_of(peer, std::move(what), std::move(object)),
                                             [kept, doing, go_on = std::move(go_on)](Result<void> written) {
                                               if (written)
                                                 go_on(std::move(*kept));
                                               else
                                                 kept->answer(fail(std::move(written), doing));
                                             });
  if (!queued) kept->answer(fail(Error(queued.error()), doing));
}

// --- containers ---

void Supervisor::ask(const Peer& peer, const core::event::Asked& asked, std::string what, Reply<void> reply) {
  const std::string object = "container/" + asked.name;
  recorded<void>(peer, std::move(what), object, std::move(reply), [this, asked](Reply<void> waiting) {
    const auto container = state_.containers.find(asked.name);
    const core::Start before = container == state_.containers.end() ? 0 : container->second.record.start;
    refusal_.reset();
    decide(asked);
    if (refusal_) return waiting.answer(fail(ErrorKind::conflict, std::exchange(refusal_, {})->sentence));
    if (asked.ask == core::event::Ask::kill) return waiting.answer({});
    waiters_.push_back({asked.name, asked.ask, before, std::move(waiting)});
    settle_waiters();
  });
}

// Answers whoever has what it waited for, or cannot get it any more.
void Supervisor::settle_waiters() {
  waiters_.remove_if([this](Waiter& waiter) {
    if (!waiter.reply.is_awaited()) return true;
    const auto found = state_.containers.find(waiter.name);
    const core::Record gone;
    const core::Record& record = found == state_.containers.end() ? gone : found->second.record;
    using core::Phase;
    if (waiter.ask == core::event::Ask::stop) {
      if (!at_rest(record.phase)) return false;
      waiter.reply.answer({});
      return true;
    }
    const bool fresh = record.start > waiter.start_before || waiter.ask == core::event::Ask::start;
    if (record.phase == Phase::running && fresh) {
      waiter.reply.answer({});
      return true;
    }
    if (record.phase == Phase::stopped && record.done) {
      waiter.reply.answer({});
      return true;
    }
    if (record.phase == Phase::failed || record.phase == Phase::backoff || record.phase == Phase::gone ||
        record.phase == Phase::stopped) {
      waiter.reply.answer(fail(ErrorKind::conflict,
                               fmt::format("container '{}' does not run: {}", waiter.name, core::text(record.reason))));
      return true;
    }
    return false;
  });
  exit_waiters_.remove_if([this](ExitWaiter& waiter) {
    if (!waiter.reply.is_awaited()) return true;
    const auto found = state_.containers.find(waiter.name);
    if (found == state_.containers.end()) {
      waiter.reply.answer(fail(ErrorKind::not_found, fmt::format("container '{}' is gone", waiter.name)));
      return true;
    }
    const core::Record& record = found->second.record;
    using core::Phase;
    const bool runs = record.phase == Phase::preparing || record.phase == Phase::starting ||
                      record.phase == Phase::running || record.phase == Phase::stopping;
    if (waiter.start == 0 && runs) waiter.start = record.start;  // the run that it waited for has begun
    const bool awaited = waiter.start == 0 ? record.phase == Phase::pending : runs && record.start == waiter.start;
    if (awaited) return false;
    waiter.reply.answer(control::Exit{record.exit ? exit_code_of(*record.exit) : 0, core::text(record.reason)});
    return true;
  });
}

void Supervisor::start(const Peer& peer, std::string container, Reply<void> reply) {
  ask(peer, {.ask = core::event::Ask::start, .name = std::move(container)}, "container.start", std::move(reply));
}

void Supervisor::stop(const Peer& peer, std::string container, Reply<void> reply) {
  ask(peer, {.ask = core::event::Ask::stop, .name = std::move(container)}, "container.stop", std::move(reply));
}

void Supervisor::restart(const Peer& peer, std::string container, Reply<void> reply) {
  ask(peer, {.ask = core::event::Ask::restart, .name = std::move(container)}, "container.restart", std::move(reply));
}

void Supervisor::kill(const Peer& peer, std::string container, std::string written, Reply<void> reply) {
  const std::optional<int> signal = signal_of(written);
  if (!signal)
    return reply.answer(fail(ErrorKind::config, fmt::format("'{}' is not a signal", written),
                             "write a name such as SIGTERM, or a number from 1 to 64"));
  ask(peer, {.ask = core::event::Ask::kill, .name = std::move(container), .signal = *signal}, "container.kill",
      std::move(reply));
}

void Supervisor::wait(const Peer&, std::string container, Reply<control::Exit> reply) {
  exit_waiters_.push_back({std::move(container), 0, std::move(reply)});
  settle_waiters();
}

void Supervisor::inspect(const Peer&, std::string container, Reply<std::string> reply) {
  const auto found = state_.containers.find(container);
  if (found == state_.containers.end())
    return reply.answer(fail(ErrorKind::not_found, fmt::format("there is no container '{}'", container)));
  const auto wanted = host_.containers.find(container);
  const auto ids = ids_.find(id_owner_of_container(container));
  reply.answer(inspect_json({.name = container,
                             .container = found->second,
                             .wanted = wanted == host_.containers.end() ? nullptr : &wanted->second,
                             .live = executor_->find(found->second.record.start),
                             .first_id = ids == ids_.end() ? 0 : ids->second.first,
                             .kernel = preparation_->kernel(),
                             .cgroups = tree_->facts()}));
}

void Supervisor::plan(const Peer&, std::string container, Reply<std::string> reply) {
  const auto found = state_.containers.find(container);
  const Live* live = found == state_.containers.end() ? nullptr : executor_->find(found->second.record.start);
  if (live == nullptr || live->plan.empty())
    return reply.answer(
        fail(ErrorKind::not_found,
             fmt::format("container '{}' was not started by this orlopd, so its plan is not known", container),
             "restart it to see its plan"));
  reply.answer(live->plan);
}

void Supervisor::log_files(const Peer&, std::string container, Reply<control::Files> reply) {
  Result<logs::Source> source = logs::open_source(directories_.logs, container);
  if (!source) return reply.answer(pass(std::move(source)));
  source->container = container;
  logs::Description description = logs::describe(std::move(*source));
  reply.answer(control::Files{std::move(description.meta), std::move(description.fds)});
}

// --- images ---

void Supervisor::import_image(const Peer& peer, control::ImportRequest request, Reply<std::string> reply) {
  auto kept = std::make_shared<control::ImportRequest>(std::move(request));
  recorded<std::string>(
      peer, "image.import", kept->name.empty() ? std::string("image") : "image/" + kept->name, std::move(reply),
      [this, kept](Reply<std::string> waiting) { intake_->import(std::move(*kept), std::move(waiting)); });
}

void Supervisor::list_images(const Peer&, Reply<std::string> reply) {
  Result<image::Listing> listing = store_->list();
  if (!listing) return reply.answer(pass(std::move(listing)));
  reply.answer(images_json(*listing, host_));
}

void Supervisor::inspect_image(const Peer&, std::string image, Reply<std::string> reply) {
  Result<image::Record> record = store_->find(image);
  if (!record) return reply.answer(pass(std::move(record)));
  reply.answer(image::to_json(*record));
}

// Asked before the removal is recorded and again after: an apply may have come in between.
std::optional<Error> Supervisor::why_image_stays(const image::Record& record) const {
  if (applying_) return fail(ErrorKind::conflict, "a host file is being applied", "wait for it").error();
  for (const auto& [name, container] : host_.containers)
    if (container.image.manifest == record.manifest)
      return fail(ErrorKind::conflict, fmt::format("the image is used by container '{}'", name),
                  "apply a host file without it first")
          .error();
  return std::nullopt;
}

void Supervisor::remove_image(const Peer& peer, std::string image, Reply<void> reply) {
  Result<image::Record> record = store_->find(image);
  if (!record) return reply.answer(pass(std::move(record)));
  if (std::optional<Error> refusal = why_image_stays(*record))
    return reply.answer(std::unexpected(std::move(*refusal)));
  recorded<void>(peer, "image.remove", "image/" + image::text(image::Reference{record->name, record->manifest}),
                 std::move(reply), [this, record = *record](Reply<void> waiting) {
                   if (std::optional<Error> refusal = why_image_stays(record))
                     return waiting.answer(std::unexpected(std::move(*refusal)));
                   executor_->forget_record_of(record.manifest);
                   if (Result<void> detached = images_->detach(record); !detached)
                     return waiting.answer(std::move(detached));
                   auto kept = std::make_shared<Reply<void>>(std::move(waiting));
                   const Result<void> submitted =
                       writer_->submit([this, manifest = record.manifest] { return store_->remove(manifest); },
                                       [kept](Result<void> removed) { kept->answer(std::move(removed)); });
                   if (!submitted) kept->answer(submitted);
                 });
}

// --- volumes ---

void Supervisor::list_volumes(const Peer&, Reply<std::string> reply) {
  Result<std::vector<std::string>> names = list_directory(directories_.volumes);
  if (!names) return reply.answer(pass(std::move(names)));
  reply.answer(volumes_json(*names, host_, ids_, places_.state));
}

void Supervisor::inspect_volume(const Peer&, std::string volume, Reply<std::string> reply) {
  if (Result<UniqueFd> directory = sys::open_beneath(directories_.volumes, volume, O_PATH | O_DIRECTORY); !directory)
    return reply.answer(fail(ErrorKind::not_found, fmt::format("there is no volume '{}'", volume)));
  reply.answer(volume_json(volume, host_, ids_, places_.state));
}

// Likewise.
std::optional<Error> Supervisor::why_volume_stays(const std::string& volume) const {
  if (applying_) return fail(ErrorKind::conflict, "a host file is being applied", "wait for it").error();
  if (host_.volumes.contains(volume))
    return fail(ErrorKind::conflict, fmt::format("volume '{}' is in the applied host file", volume),
                "apply a host file without it first; its data stays until then")
        .error();
  for (const auto& [name, container] : state_.containers)
    if (const Live* live = executor_->find(container.record.start); live != nullptr)
      for (const sandbox::Bind& bind : live->spec.binds)
        if (bind.kind == sandbox::Bind::Kind::volume && bind.source == volume)
          return fail(ErrorKind::conflict, fmt::format("volume '{}' is still mounted in container '{}'", volume, name),
                      "wait until it has stopped")
              .error();
  return std::nullopt;
}

void Supervisor::remove_volume(const Peer& peer, std::string volume, Reply<void> reply) {
  if (Result<UniqueFd> directory = sys::open_beneath(directories_.volumes, volume, O_PATH | O_DIRECTORY); !directory)
    return reply.answer(fail(ErrorKind::not_found, fmt::format("there is no volume '{}'", volume)));
  if (std::optional<Error> refusal = why_volume_stays(volume))
    return reply.answer(std::unexpected(std::move(*refusal)));
  recorded<void>(peer, "volume.remove", "volume/" + volume, std::move(reply), [this, volume](Reply<void> waiting) {
    if (std::optional<Error> refusal = why_volume_stays(volume))
      return waiting.answer(std::unexpected(std::move(*refusal)));
    auto kept = std::make_shared<Reply<void>>(std::move(waiting));
    auto ids = std::make_shared<IdMap>();
    const Result<void> submitted = writer_->submit(
        [this, volume, ids]() -> Result<void> {
          if (Result<void> removed = remove_tree(directories_.volumes, volume); !removed) return removed;
          if (Result<void> released = ranges_->release(id_owner_of_volume(volume)); !released) return released;
          *ids = ranges_->all();
          return {};
        },
        [this, kept, ids](Result<void> removed) {
          if (removed) ids_ = *ids;
          kept->answer(std::move(removed));
        });
    if (!submitted) kept->answer(submitted);
  });
}

// --- the supervisor ---

void Supervisor::status(const Peer&, Reply<std::string> reply) {
  std::vector<control::ContainerView> views;
  for (const std::string& name : containers())
    if (std::optional<control::ContainerView> one = find(name)) views.push_back(std::move(*one));
  reply.answer(status_json(view(), views, damage_));
}

void Supervisor::effective(const Peer&, Reply<std::string> reply) {
  reply.answer(config::effective_toml(host_));
}

void Supervisor::audit_files(const Peer&, Reply<control::Files> reply) {
  Result<audit::Source> source = audit::open_source(directories_.audit, directories_.state);
  if (!source) return reply.answer(pass(std::move(source)));
  audit::Description description = audit::describe(std::move(*source));
  reply.answer(control::Files{std::move(description.meta), std::move(description.fds)});
}

void Supervisor::shutdown(const Peer& peer, Reply<void> reply) {
  recorded<void>(peer, "supervisor.shutdown", "supervisor", std::move(reply), [this](Reply<void> waiting) {
    shutdown_waiters_.push_back(std::move(waiting));
    intake_->stop();
    decide(core::event::ShutdownAsked{});
  });
}

control::SupervisorView Supervisor::view() const {
  control::SupervisorView view{
      .version = ORLOP_VERSION, .name = host_.name.value_or(""), .state = "running", .labels = host_.labels};
  if (state_.hands_off) view.state = "hands-off";
  if (state_.shutdown != core::Shutdown::no) view.state = "stopping";
  if (!damage_.empty()) view.state = "damaged";
  return view;
}

std::vector<std::string> Supervisor::containers() const {
  std::vector<std::string> names;
  for (const auto& [name, container] : state_.containers)
    if (container.record.phase != core::Phase::gone) names.push_back(name);
  return names;
}

std::optional<control::ContainerView> Supervisor::find(std::string_view name) const {
  const auto found = state_.containers.find(std::string(name));
  if (found == state_.containers.end() || found->second.record.phase == core::Phase::gone) return std::nullopt;
  const core::Container& container = found->second;
  const core::Record& record = container.record;
  const Live* live = executor_->find(record.start);
  const auto wanted = host_.containers.find(found->first);
  control::ContainerView view;
  view.name = found->first;
  view.state = core::to_string(record.phase);
  view.health = core::to_string(container.health);
  view.pid = live != nullptr && record.phase != core::Phase::exited ? live->pid : 0;
  if (record.began)
    view.started_usec =
        static_cast<std::uint64_t>(to_wall(*record.began).time_since_epoch().count() / 1'000'000 * 1000);
  view.restarts = static_cast<std::uint32_t>(record.restarts);
  if (record.exit) view.exit_code = exit_code_of(*record.exit);
  view.reason = !container.trouble.empty() ? container.trouble : core::text(record.reason);
  if (view.reason.empty() && !container.waits_for.empty()) view.reason = "waits for " + container.waits_for;
  if (wanted != host_.containers.end()) view.image = image::text(wanted->second.image);
  view.start_number = record.start;
  return view;
}

void Supervisor::refused(const Peer& peer, const std::string& what) {
  audit::Record record = record_of(peer, what, "supervisor");
  record.why = "no role";
  record.verdict = audit::Verdict::denied;
  if (!audit_) return;
  (void)audit_->append(std::move(record), {});  // it was refused already; the audit log counts what it cannot take
  if (const auto next = audit_->next_tick()) audit_source_.arm(*next);
}

}  // namespace orlop::supervisor
