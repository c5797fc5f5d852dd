// sd-event with owners: a source lives as long as its EventSource, and a handler may destroy its own.
#pragma once

#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/time.hpp"

namespace orlop::supervisor {

/// Destroying it, or reset(), takes the source out of epoll at once: its descriptor may be closed right after, even
/// when another process holds the same open file.
class EventSource {
 public:
  EventSource() = default;
  EventSource(EventSource&&) noexcept = default;
  EventSource& operator=(EventSource&& other) noexcept;
  EventSource(const EventSource&) = delete;
  EventSource& operator=(const EventSource&) = delete;
  ~EventSource() { reset(); }
  /// Whether it watches anything.
  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }
  void reset();
  /// Lets it fire, or not, without losing it. A timer fires once each time it is enabled.
  void enable(bool on) const;
  /// Moves an io source to other events.
  void watch(std::uint32_t epoll_events) const;
  /// Sets a timer to `when` and enables it.
  void arm(BootTime when) const;

 private:
  friend class EventLoop;
  struct State;
  explicit EventSource(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

class EventLoop {
 public:
  using Io = std::function<void(std::uint32_t epoll_events)>;
  using Call = std::function<void()>;

  static Result<EventLoop> make();
  [[nodiscard]] sd_event* get() const { return event_.get(); }

  /// Calls `io` while `fd` has one of `epoll_events`. Source: sd_event_add_io(3).
  Result<EventSource> io(BorrowedFd fd, std::uint32_t epoll_events, Io io) const;
  /// A timer of the boot clock, not armed yet.
  Result<EventSource> timer(Call call) const;
  /// Calls `call` once when nothing else is to be done. Arm it again with enable(true).
  Result<EventSource> idle(Call call) const;

  /// Calls `call` after every round in which something else was done. Source: sd_event_add_post(3).
  Result<EventSource> after(Call call) const;

  /// Runs until stop(). Returns what stop() was given.
  Result<int> run() const;
  void stop(int status) const;

 private:
  struct Unref {
    void operator()(sd_event* event) const noexcept { sd_event_unref(event); }
  };
  std::unique_ptr<sd_event, Unref> event_;
};

}  // namespace orlop::supervisor
