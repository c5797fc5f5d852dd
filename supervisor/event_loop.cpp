#include "supervisor/event_loop.hpp"

#include <time.h>

namespace orlop::supervisor {

struct EventSource::State : std::enable_shared_from_this<EventSource::State> {
  sd_event_source* source = nullptr;
  EventLoop::Io io;
  EventLoop::Call call;
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { end(); }
  void end() { source = sd_event_source_disable_unref(source); }

  static int on_io(sd_event_source*, int, std::uint32_t events, void* self) {
    const std::shared_ptr<State> alive =
        static_cast<State*>(self)->shared_from_this();  // the handler may end its own source
    alive->io(events);
    return 0;
  }
  static int on_time(sd_event_source*, std::uint64_t, void* self) {
    const std::shared_ptr<State> alive = static_cast<State*>(self)->shared_from_this();
    alive->call();
    return 0;
  }
  static int on_idle(sd_event_source*, void* self) {
    const std::shared_ptr<State> alive = static_cast<State*>(self)->shared_from_this();
    alive->call();
    return 0;
  }
};

// What sets a source fails only for a source of another kind or a loop of another process: mistakes of ours, not of the
// machine.
void EventSource::enable(bool on) const {
  if (!state_) return;
  const bool io = static_cast<bool>(state_->io);
  (void)sd_event_source_set_enabled(state_->source, !on ? SD_EVENT_OFF : io ? SD_EVENT_ON : SD_EVENT_ONESHOT);
}

EventSource& EventSource::operator=(EventSource&& other) noexcept {
  if (this != &other) {
    reset();
    state_ = std::move(other.state_);
  }
  return *this;
}

void EventSource::reset() {
  if (state_) state_->end();  // a handler that is running keeps the rest until it returns
  state_.reset();
}

void EventSource::watch(std::uint32_t epoll_events) const {
  if (state_) (void)sd_event_source_set_io_events(state_->source, epoll_events);
}

void EventSource::arm(BootTime when) const {
  if (!state_) return;
  const auto usec = std::chrono::ceil<std::chrono::microseconds>(when.time_since_epoch()).count();
  (void)sd_event_source_set_time(state_->source, static_cast<std::uint64_t>(usec));
  enable(true);
}

Result<EventLoop> EventLoop::make() {
  EventLoop loop;
  sd_event* event = nullptr;
  if (const int status = sd_event_new(&event); status < 0)
    return fail_errno(-status, "sd_event_new", "cannot make an event loop");
  loop.event_.reset(event);
  return loop;
}

Result<EventSource> EventLoop::io(BorrowedFd fd, std::uint32_t epoll_events, Io io) const {
  auto state = std::make_shared<EventSource::State>();
  state->io = std::move(io);
  if (const int status =
          sd_event_add_io(event_.get(), &state->source, fd.get(), epoll_events, EventSource::State::on_io, state.get());
      status < 0)
    return fail_errno(-status, "sd_event_add_io", "cannot watch a descriptor");
  return EventSource(std::move(state));
}

Result<EventSource> EventLoop::timer(Call call) const {
  auto state = std::make_shared<EventSource::State>();
  state->call = std::move(call);
  const int status = sd_event_add_time(event_.get(), &state->source, CLOCK_BOOTTIME, UINT64_MAX, 1000,
                                       EventSource::State::on_time, state.get());
  if (status < 0) return fail_errno(-status, "sd_event_add_time", "cannot make a timer");
  return EventSource(std::move(state));
}

Result<EventSource> EventLoop::idle(Call call) const {
  auto state = std::make_shared<EventSource::State>();
  state->call = std::move(call);
  if (const int status = sd_event_add_defer(event_.get(), &state->source, EventSource::State::on_idle, state.get());
      status < 0)
    return fail_errno(-status, "sd_event_add_defer", "cannot make an idle call");
  if (const int status = sd_event_source_set_priority(state->source, SD_EVENT_PRIORITY_IDLE); status < 0)
    return fail_errno(-status, "sd_event_source_set_priority", "cannot make an idle call");
  return EventSource(std::move(state));
}

Result<EventSource> EventLoop::after(Call call) const {
  auto state = std::make_shared<EventSource::State>();
  state->call = std::move(call);
  if (const int status = sd_event_add_post(event_.get(), &state->source, EventSource::State::on_idle, state.get());
      status < 0)
    return fail_errno(-status, "sd_event_add_post", "cannot make a call after each round");
  return EventSource(std::move(state));
}

Result<int> EventLoop::run() const {
  const int status = sd_event_loop(event_.get());
  if (status < 0) return fail_errno(-status, "sd_event_loop", "the event loop failed");
  return status;
}

void EventLoop::stop(int status) const {
  (void)sd_event_exit(event_.get(), status);
}

}  // namespace orlop::supervisor
