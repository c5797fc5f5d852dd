#include "supervisor/supervisor.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "supervisor/core/record_json.hpp"

namespace orlop::supervisor {
namespace {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

}  // namespace

Supervisor::~Supervisor() = default;

Result<int> Supervisor::run() {
  Result<int> status = loop_.run();
  if (status && *status == 0) (void)tree_->remove();  // groups that cannot go are taken over by the next start
  // The last word to the guardian may still wait for room in the socket.
  for (int tries = 0; link_.wants_write() && tries < 100; ++tries) {
    pollfd ready{.fd = link_.fd().get(), .events = POLLOUT, .revents = 0};
    (void)::poll(&ready, 1, 100);
    if (!link_.flush()) break;
  }
  return status;
}

// --- events in, effects out ---

// An effect may bring its event at once, from inside perform(): such an event waits until the effects before it are
// done.
void Supervisor::decide(core::Event event) {
  if (!damage_.empty())
    return;  // what the state files say is not known: nothing is touched, not even an exit acknowledged
  events_.push_back(std::move(event));
  if (deciding_) return;
  deciding_ = true;
  while (!events_.empty()) {
    const core::Event next = std::move(events_.front());
    events_.pop_front();
    for (const core::Effect& effect : core::decide(state_, next, BootClock::now())) perform(effect);
  }
  deciding_ = false;
  if (preparation_->wants_refill()) refill_source_.enable(true);
  settle();
}

void Supervisor::perform(const core::Effect& effect) {
  std::visit(Overloaded{
                 [this](const core::effect::Announce& what) { announce(what); },
                 [this](const core::effect::Persist& what) { persist(what); },
                 [this](const core::effect::Forget& what) { forget(what); },
                 [this](const core::effect::Reserve& what) { reserve(what); },
                 [this](const core::effect::AckExit& what) {
                   (void)link_.acknowledge(what.start);
                 },  // a dead guardian is told by its socket
                 [this](const core::effect::Refused& what) {
                   if (what.asked) refusal_ = what;
                 },
                 [this](const core::effect::WakeAt& what) {
                   if (what.at)
                     wake_source_.arm(*what.at);
                   else
                     wake_source_.enable(false);
                 },
                 [this](const core::effect::ShutdownDone&) { end(); },
                 [this](const auto& what) { executor_->perform(what); },
             },
             effect);
}

void Supervisor::persist(const core::effect::Persist& effect) {
  const std::string json = core::record_json(effect.name, effect.record);
  const auto answer = [this, name = effect.name, revision = effect.revision](const Result<void>& written) {
    if (written)
      decide(core::event::Persisted{name, revision});
    else
      decide(core::event::PersistFailed{name, revision, sentence(written.error())});
  };
  changed_.insert(effect.name);
  // Without a sync a write is a copy into memory and a rename: no more than the thread's hand-over would cost.
  const Result<void> saved = save_record(directories_, effect.name, json);
  if (!saved || effect.durability == Durability::until_reboot) return answer(saved);
  const Result<void> submitted = writer_->submit(
      [this, name = effect.name, json] { return save_record_durably(directories_, name, json); }, answer);
  if (!submitted) answer(submitted);
}

// A record that stays is forgotten again by the next orlopd.
void Supervisor::forget(const core::effect::Forget& effect) {
  changed_.insert(effect.name);
  (void)forget_record(directories_, effect.name);
  (void)writer_->submit([this, name = effect.name] { return forget_lasting_record(directories_, name); },
                        [](const Result<void>&) {});
}

void Supervisor::reserve(const core::effect::Reserve& effect) {
  const auto answer = [this, up_to = effect.up_to](const Result<void>& written) {
    if (written)
      decide(core::event::Reserved{up_to});
    else
      decide(core::event::ReserveFailed{up_to, sentence(written.error())});
  };
  const Result<void> submitted =
      writer_->submit([this, up_to = effect.up_to] { return save_reserved(directories_, up_to); }, answer);
  if (!submitted) answer(submitted);
}

void Supervisor::announce(const core::effect::Announce& effect) {
  changed_.insert(effect.name);
  if (!audit_) return;  // damaged, and named by status
  audit::Record record;
  record.what = fmt::format("container.{}", core::to_string(effect.step));
  record.object = effect.start == 0 ? fmt::format("container/{}", effect.name)
                                    : fmt::format("container/{} start {}", effect.name, effect.start);
  record.why = core::text(effect.reason);
  record.before = core::to_string(effect.from);
  record.after = core::to_string(effect.to);
  // A container's own life goes on when the record cannot be written: stopping it would be worse. Changes that somebody
  // asks for are refused then, see recorded().
  (void)audit_->append(std::move(record), {});
  if (const auto next = audit_->next_tick()) audit_source_.arm(*next);
}

// Everything is stopped. The last line of the audit log, and with it all before it, is on the disk before orlopd ends;
// one that a full disk refuses keeps nobody waiting.
void Supervisor::end() {
  const auto stop = [this](const Result<void>&) {
    for (control::Reply<void>& reply : shutdown_waiters_) reply.answer({});
    shutdown_waiters_.clear();
    (void)link_.stopping();
    loop_.stop(0);
  };
  if (!audit_) return stop({});
  audit::Record record;
  record.what = "supervisor.stopped";
  record.object = "supervisor";
  record.why = "shutdown";
  if (const Result<void> queued = audit_->append(std::move(record), stop); !queued) stop(queued);
}

// After a round of decisions: tell the clients, and answer who waits.
void Supervisor::settle() {
  if (server_) {
    for (const std::string& name : std::exchange(changed_, {})) {
      const bool there = find(name).has_value();
      if (there && known_.insert(name).second)
        server_->container_added(name);
      else if (there)
        server_->container_changed(name);
      else if (known_.erase(name) > 0)
        server_->container_removed(name);
    }
  }
  settle_waiters();
}

// --- the guardian ---

void Supervisor::hear_guardian() {
  Result<std::vector<Message>> messages = link_.receive();
  if (!messages) return guardian_is_gone(messages.error());
  for (Message& message : *messages) handle(std::move(message));
}

// After each round of the loop: what did not fit into the socket goes as soon as there is room.
void Supervisor::mind_link() {
  if (const Result<void> flushed = link_.flush(); !flushed) return guardian_is_gone(flushed.error());
  link_source_.watch(link_.wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Supervisor::handle(Message message) {
  std::visit(Overloaded{
                 [this](const Registered& said) { launcher_->registered(said.start); },
                 [this](const Gone& said) { launcher_->gone(said.start); },
                 [this](const Refused& said) {
                   if (said.start != 0) return launcher_->refused(said.start, said.reason);
                   fmt::print(stderr, "orlopd: the guardian cannot keep '{}': {}\n", said.name, said.reason);
                 },
                 [this](const Exited& said) {
                   launcher_->ended(said.start);
                   if (is_worker(said.start))
                     intake_->exited(said);
                   else
                     decide(executor_->explain(said));
                 },
                 [this](const Ping&) { (void)link_.pong(); },  // a dead guardian is told by its socket
                 [this](const Terminate&) {
                   intake_->stop();
                   if (!damage_.empty()) return end_damaged();
                   decide(core::event::ShutdownAsked{});
                 },
             },
             message);
}

// Containers that cannot be decided about are ended all the same when the service is.
void Supervisor::end_damaged() {
  executor_->kill_all();
  (void)link_.stopping();
  loop_.stop(1);
}

// Without a guardian nobody reaps, and nobody would start a next orlopd: nothing may go on unsupervised.
void Supervisor::guardian_is_gone(const Error& error) {
  fmt::print(stderr, "orlopd: the guardian is gone, every container is ended: {}\n", sentence(error));
  executor_->kill_all();
  loop_.stop(1);
}

}  // namespace orlop::supervisor
