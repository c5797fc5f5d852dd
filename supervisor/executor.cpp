#include "supervisor/executor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/sys.hpp"
#include "cgroups/weights.hpp"
#include "config/effective.hpp"
#include "config/resolve.hpp"

namespace orlop::supervisor {

logs::Limits log_limits(const config::Container& container) {
  logs::Limits limits;
  limits.file_bytes = container.log.size;
  limits.files = static_cast<std::uint32_t>(container.log.files);
  limits.rate_per_second = container.log.rate;
  limits.when_full = container.log.full == config::WhenFull::block ? logs::WhenFull::block : logs::WhenFull::drop;
  return limits;
}

Executor::Executor(const EventLoop& loop, GuardianLink& link, Launcher& launcher, const Directories& directories,
                   const cgroups::Tree& tree, Preparation& preparation, const image::Store& store, Report report)
    : loop_(loop),
      link_(link),
      launcher_(launcher),
      directories_(directories),
      tree_(tree),
      preparation_(preparation),
      store_(store),
      report_(std::move(report)) {}

const Live* Executor::find(core::Start start) const {
  const auto found = live_.find(start);
  return found == live_.end() ? nullptr : found->second.get();
}

Result<const image::Record*> Executor::record_of(const Sha256& manifest) {
  if (const auto found = records_.find(manifest); found != records_.end()) return &found->second;
  Result<image::Record> record = store_.find(manifest);
  if (!record) return pass(std::move(record));
  return &records_.emplace(manifest, std::move(*record)).first->second;
}

// --- launching ---

void Executor::perform(const core::effect::Launch& effect) {
  if (Result<void> begun = launch(effect); !begun)
    report_(core::event::LaunchFailed{effect.start, sentence(begun.error())});
}

Result<void> Executor::launch(const core::effect::Launch& effect) {
  const auto container = host_->containers.find(effect.name);
  if (container == host_->containers.end()) return fail(ErrorKind::internal, "no host file names it any more");
  Result<const image::Record*> record = record_of(container->second.image.manifest);
  if (!record) return pass(std::move(record));
  Result<Prepared> prepared = preparation_.container(container->second, **record, effect.start);
  if (!prepared) return pass(std::move(prepared));

  auto live = std::make_unique<Live>();
  Live& own = *live;
  own.name = effect.name;
  own.start = effect.start;
  own.spec = std::move(prepared->spec);
  own.plan = sandbox::print(*prepared->plan);
  own.limits = container->second.limits;
  own.cpu_weight = own.limits.cpu_weight;  // the group was made with it
  if (const std::optional<config::Health> health = config::health_check(container->second, **record))
    own.health = health->exec;
  own.group = std::move(prepared->group);
  live_.emplace(effect.start, std::move(live));  // from here on Cleanup finds it, whatever fails
  if (Result<void> watched = watch(own); !watched) return watched;
  const std::string output = output_name(effect.start);
  const std::string error = error_name(effect.start);
  const std::string dev_log = dev_log_name(effect.start);
  std::vector<NamedFd> named = {{output, prepared->output}, {error, prepared->error}};
  if (prepared->dev_log) named.push_back({dev_log, prepared->dev_log});
  Result<Launcher::Begun> begun = launcher_.begin(
      effect.start, std::move(prepared->plan), named, [this, start = effect.start](Result<void> result) {
        if (!result) return report_(core::event::LaunchFailed{start, text(result.error())});
        report_(core::event::Launched{start});
        look_for_oom(start);  // one that came before was too early to act on
      });
  if (!begun) return pass(std::move(begun));
  own.pid = begun->pid;
  own.pidfd = std::move(begun->pidfd);
  Result<std::unique_ptr<LogPump>> log =
      LogPump::open(loop_, directories_.logs, effect.name, log_limits(container->second), effect.start,
                    {std::move(prepared->output), std::move(prepared->error)});
  if (!log) {
    launcher_.cancel(effect.start);
    return pass(std::move(log));
  }
  own.log = std::move(*log);
  if (prepared->dev_log) {
    Result<std::unique_ptr<DevLog>> opened = DevLog::open(loop_, std::move(prepared->dev_log), own.log->output());
    if (!opened) {
      launcher_.cancel(effect.start);
      return pass(std::move(opened));
    }
    own.dev_log = std::move(*opened);
  }
  share_cpu();
  return {};
}

Result<void> Executor::watch(Live& live) {
  const cgroups::Watch events = live.group->events_watch();
  Result<EventSource> group =
      loop_.io(events.fd, events.epoll_events, [this, start = live.start](std::uint32_t) { clear(start); });
  if (!group) return pass(std::move(group));
  live.group_events = std::move(*group);
  live.group_events.enable(false);  // until a Cleanup waits for it
  const cgroups::Watch oom = live.group->oom_watch();
  if (oom.fd.get() < 0) return {};
  Result<EventSource> out =
      loop_.io(oom.fd, oom.epoll_events, [this, start = live.start](std::uint32_t) { look_for_oom(start); });
  if (!out) return pass(std::move(out));
  live.oom_events = std::move(*out);
  return {};
}

void Executor::look_for_oom(core::Start start) {
  const auto found = live_.find(start);
  if (found == live_.end()) return;
  Live& live = *found->second;
  if (const Result<bool> reported = live.group->oom_reported(); reported && *reported) live.ran_out = true;
  if (live.ran_out) report_(core::event::OomSeen{start, memory_detail(live)});
}

void Executor::catch_up() {
  std::vector<core::Start> starts;  // a report may end one
  for (const auto& [start, live] : live_) starts.push_back(start);
  for (const core::Start start : starts) look_for_oom(start);
  // What nobody knows was made by a predecessor that died before it could say so.
  const Result<std::vector<cgroups::Leaf>> leaves = tree_.list();
  if (!leaves) return;  // the next orlopd tries again
  for (const cgroups::Leaf& leaf : *leaves)
    if (!live_.contains(leaf.start)) perform(core::effect::Cleanup{"", leaf.start});
}

Result<void> Executor::adopt(const std::string& name, Inheritance inheritance) {
  const core::Start start = inheritance.running.start;
  Result<cgroups::Group> group = tree_.open({name, start});
  if (!group) return fail(std::move(group), fmt::format("cannot find the cgroup of '{}'", name));
  Live& own = *live_.emplace(start, std::make_unique<Live>()).first->second;
  own.name = name;
  own.start = start;
  own.pid = inheritance.running.pid;
  own.pidfd = std::move(inheritance.running.pidfd);
  own.group = std::make_unique<cgroups::Group>(std::move(*group));
  logs::Limits limits;
  const auto container = host_->containers.find(name);
  if (container != host_->containers.end() && config::digest(container->second) == inheritance.digest) {
    limits = log_limits(container->second);
    own.limits = container->second.limits;
    if (const Result<const image::Record*> record = record_of(container->second.image.manifest); record) {
      if (Result<sandbox::Spec> spec = preparation_.resolve(container->second, **record); spec)
        own.spec = std::move(*spec);
      if (const std::optional<config::Health> health = config::health_check(container->second, **record))
        own.health = health->exec;
    }
  }
  (void)own.group->end_inner();  // a health check of our predecessor's, which nobody waits for any more
  if (Result<void> watched = watch(own); !watched) return watched;
  if (!inheritance.pipes[0] || !inheritance.pipes[1]) return {};
  Result<std::unique_ptr<LogPump>> log =
      LogPump::open(loop_, directories_.logs, name, limits, start, std::move(inheritance.pipes));
  if (!log) return pass(std::move(log));
  own.log = std::move(*log);
  if (!inheritance.dev_log) return {};
  Result<std::unique_ptr<DevLog>> opened = DevLog::open(loop_, std::move(inheritance.dev_log), own.log->output());
  if (!opened) return pass(std::move(opened));
  own.dev_log = std::move(*opened);
  return {};
}

// A CPU minimum is a share of the parent's weight: who starts or ends may change the weights of all. Most often it
// changes none, and nothing is written.
void Executor::share_cpu() {
  std::vector<cgroups::CpuShare> shares;
  for (const auto& [start, live] : live_) shares.push_back({live->limits.cpu_min_millis, live->limits.cpu_weight});
  const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  const std::vector<std::uint64_t> weights = cgroups::weights(shares, static_cast<std::uint64_t>(cpus));
  auto weight = weights.begin();
  for (const auto& [start, live] : live_) {
    if (live->cpu_weight != *weight && live->group->set_cpu_weight(*weight))  // one that is going has none to set
      live->cpu_weight = *weight;
    ++weight;
  }
}

// --- while it runs ---

void Executor::perform(const core::effect::Signal& effect) {
  const Live* live = find(effect.start);
  if (live == nullptr || !live->pidfd) return;
  (void)sys::pidfd_send_signal(live->pidfd, effect.signal);  // gone: its exit is on its way
}

void Executor::perform(const core::effect::KillGroup& effect) {
  launcher_.cancel(effect.start);
  if (const Live* live = find(effect.start); live != nullptr) {
    (void)live->group->kill();  // the core orders it again until the exit comes
    if (live->pidfd)
      (void)sys::pidfd_send_signal(live->pidfd, SIGKILL);  // a child that has not moved into its v1 groups yet
    return;
  }
  perform(core::effect::Cleanup{effect.name, effect.start});
}

void Executor::perform(const core::effect::Probe& effect) {
  const auto found = live_.find(effect.start);
  if (found == live_.end()) return;
  Live& live = *found->second;
  const auto unable = [&](const Error& error) {
    report_(core::event::Probed{effect.start, effect.probe, false, sentence(error)});
  };
  if (live.health.empty() || live.spec.argv.empty())
    return unable(
        fail(ErrorKind::internal, "its health check is not known: its configuration has changed since it was started")
            .error());
  Result<sys::Pipe> pipe = sys::pipe();
  if (!pipe) return unable(pipe.error());
  if (::fcntl(pipe->read.get(), F_SETFL, O_NONBLOCK) != 0)
    return unable(fail_errno(errno, "fcntl", "cannot set up a pipe").error());
  Result<std::unique_ptr<sandbox::Plan>> plan =
      preparation_.inside(live.spec, live.health, live.pidfd, *live.group, std::move(pipe->write));
  if (!plan) return unable(plan.error());
  Result<std::unique_ptr<Probe>> probe = Probe::begin(
      loop_, effect.start, effect.probe, std::move(*plan), std::move(pipe->read),
      [this, effect](bool ok, std::string output) { probe_ended(effect.start, effect.probe, ok, std::move(output)); });
  if (!probe) return unable(probe.error());
  live.probe = probe->get();
  probes_.push_back(std::move(*probe));
}

void Executor::probe_ended(core::Start start, std::uint64_t number, bool ok, std::string output) {
  const auto ended = std::ranges::find_if(
      probes_, [&](const auto& probe) { return probe->number() == number && probe->start() == start; });
  const std::unique_ptr<Probe> kept = std::move(*ended);  // we are inside its call: it goes when this returns
  probes_.erase(ended);
  const auto live = live_.find(start);
  if (live == live_.end() || live->second->probe != kept.get()) return;  // nobody waits for it any more
  live->second->probe = nullptr;
  report_(core::event::Probed{start, number, ok, std::move(output)});
}

void Executor::perform(const core::effect::EndProbe& effect) {
  const auto found = live_.find(effect.start);
  if (found == live_.end() || found->second->probe == nullptr || found->second->probe->number() != effect.probe) return;
  found->second->probe->kill();
  found->second->probe = nullptr;
}

// --- the end ---

void Executor::perform(const core::effect::Cleanup& effect) {
  if (Result<void> known = know(effect.start); !known)
    return report_(core::event::CleanupFailed{effect.start, sentence(known.error())});
  const auto found = live_.find(effect.start);
  if (found == live_.end()) {  // it has no group, or none any more
    drop_kept(effect.start);
    return report_(core::event::Cleaned{effect.start});
  }
  Live& live = *found->second;
  live.probe = nullptr;  // it is in the group that is killed below
  live.oom_events.reset();
  live.clearing = true;
  (void)live.group->kill();  // what the first process left behind; an empty group has nothing to kill
  clear(effect.start);
}

// Goes on when the group says that it is empty; called again by its events until then.
void Executor::clear(core::Start start) {
  const auto found = live_.find(start);
  if (found == live_.end() || !found->second->clearing) return;
  Live& live = *found->second;
  const Result<cgroups::Group::Events> events = live.group->events();  // rearms the watch
  if (events && events->populated) return live.group_events.enable(true);
  const Result<bool> removed = live.group->remove();
  if (removed && !*removed) return live.group_events.enable(true);
  if (!removed) {
    live.clearing = false;
    return report_(core::event::CleanupFailed{start, sentence(removed.error())});
  }
  if (live.dev_log) live.dev_log->drain();  // what does not fit into the pipe any more is lost with its container
  live.dev_log.reset();
  if (live.log) live.log->finish();
  drop_kept(start);
  live_.erase(found);
  share_cpu();
  report_(core::event::Cleaned{start});
}

// Takes up the group of a start that was not adopted, if it has one: half made, half removed, or of a worker.
Result<void> Executor::know(core::Start start) {
  if (live_.contains(start)) return {};
  Result<std::vector<cgroups::Leaf>> leaves = tree_.list();
  if (!leaves) return pass(std::move(leaves));
  const auto leaf = std::ranges::find(*leaves, start, &cgroups::Leaf::start);
  if (leaf == leaves->end()) return {};
  Result<cgroups::Group> group = tree_.open(*leaf);
  if (!group) return pass(std::move(group));
  auto live = std::make_unique<Live>();
  live->name = leaf->name;
  live->start = start;
  live->group = std::make_unique<cgroups::Group>(std::move(*group));
  return watch(*live_.emplace(start, std::move(live)).first->second);
}

void Executor::drop_kept(core::Start start) {
  // Dropping fails only when the guardian is gone, which the link's own watch tells.
  (void)link_.drop(output_name(start));
  (void)link_.drop(error_name(start));
  (void)link_.drop(dev_log_name(start));
  (void)::unlink(fmt::format("/devlog/{}", start).c_str());  // there for containers with `dev_log` only
  (void)link_.drop(Launcher::report_name(start));
}

std::string Executor::memory_detail(const Live& live) const {
  const Result<cgroups::Usage> usage = live.group->usage();
  return fmt::format("limit {}, peak {}", format_bytes(live.limits.memory_max),
                     usage ? format_bytes(usage->memory_peak) : "unknown");
}

core::event::Exited Executor::explain(const Exited& exited) {
  core::event::Exited event;
  event.start = exited.start;
  if (exited.code == CLD_EXITED)
    event.exit.code = exited.status;
  else
    event.exit.signal = exited.status;
  const auto found = live_.find(exited.start);
  if (found == live_.end()) return event;
  const Result<cgroups::Usage> usage = found->second->group->usage();
  if (usage && usage->oom_kills > 0) {
    event.oom = true;
    event.oom_detail = memory_detail(*found->second);
  }
  return event;
}

void Executor::kill_all() {
  const Result<std::vector<cgroups::Leaf>> leaves = tree_.list();
  if (!leaves) return;  // nobody is left to hear of an error
  for (const cgroups::Leaf& leaf : *leaves)
    if (const Result<cgroups::Group> group = tree_.open(leaf); group) (void)group->kill();
}

}  // namespace orlop::supervisor
