#include "supervisor/control/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <list>

#include "supervisor/control/api.hpp"
#include "supervisor/control/connection.hpp"
#include "supervisor/control/peer.hpp"

namespace orlop::control {
namespace {

// A flood of connections must not keep the loop from those that are there.
constexpr int accepts_in_a_row = 16;
// Out of descriptors, the pending connection would wake the loop again and again.
constexpr std::uint64_t accept_pause_usec = 100'000;

std::unexpected<Error> loop_failure(int negative_errno) {
  return fail_errno(-negative_errno, "sd-event", "cannot serve the control socket");
}

}  // namespace

struct Server::State {
  State(sd_event* event_loop, UniqueFd socket, const ServerOptions& server_options, Service& behind)
      : options(server_options),
        loop(sd_event_ref(event_loop)),
        listener(std::move(socket)),
        owner{.loop = event_loop,
              .service = behind,
              .limits = options.limits,
              .ended = [this](std::uint64_t Counters::* cause) { note_end(cause); },
              .pending_calls = [this](uid_t uid) { return pending_calls(uid); }} {}

  Result<void> watch();
  void accept_one(UniqueFd socket);
  bool has_place(const Peer& peer) const;
  void note_end(std::uint64_t Counters::* cause);
  std::size_t pending_calls(uid_t uid) const;
  void emit(const std::function<int(sd_bus* bus)>& emit);

  static int on_connection(sd_event_source* source, int fd, std::uint32_t events, void* state);
  static int on_pause_over(sd_event_source* source, std::uint64_t usec, void* state);
  static int on_sweep(sd_event_source* source, void* state);

  struct LoopUnref {
    void operator()(sd_event* each) const noexcept { sd_event_unref(each); }
  };

  ServerOptions options;
  std::unique_ptr<sd_event, LoopUnref> loop;
  UniqueFd listener;
  ConnectionOwner owner;
  Counters counters;
  EventSource accepting;
  EventSource pause;
  EventSource sweep;  // destroys ended connections, outside of their own callbacks
  std::list<std::unique_ptr<Connection>> connections;
};

Result<void> Server::State::watch() {
  sd_event_source* source = nullptr;
  int r = sd_event_add_io(loop.get(), &source, listener.get(), EPOLLIN, &State::on_connection, this);
  if (r < 0) return loop_failure(r);
  accepting.reset(source);
  r = sd_event_add_time(loop.get(), &source, CLOCK_BOOTTIME, 0, 0, &State::on_pause_over, this);
  if (r < 0) return loop_failure(r);
  pause.reset(source);
  r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
  if (r >= 0) r = sd_event_add_defer(loop.get(), &source, &State::on_sweep, this);
  if (r < 0) return loop_failure(r);
  sweep.reset(source);
  r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
  if (r < 0) return loop_failure(r);
  return {};
}

int Server::State::on_connection(sd_event_source* source, int fd, std::uint32_t /*events*/, void* state) {
  auto& self = *static_cast<State*>(state);
  for (int i = 0; i < accepts_in_a_row; ++i) {
    UniqueFd socket(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      self.accept_one(std::move(socket));
      continue;
    }
    const bool lacks_something = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (lacks_something && sd_event_source_set_time_relative(self.pause.get(), accept_pause_usec) >= 0 &&
        sd_event_source_set_enabled(self.pause.get(), SD_EVENT_ONESHOT) >= 0)
      (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);  // on_pause_over() goes on
    break;
  }
  return 0;
}

int Server::State::on_pause_over(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* state) {
  return sd_event_source_set_enabled(static_cast<State*>(state)->accepting.get(), SD_EVENT_ON);
}

// Whoever is turned away here is closed without a byte read: `socket` goes out of scope.
void Server::State::accept_one(UniqueFd socket) {
  Result<Identity> identity = identify(socket);
  const std::optional<Role> role =
      identity ? role_of(*identity, options.owner, options.readers) : std::optional<Role>();
  if (!role) {
    ++counters.without_role;
    if (identity) owner.service.refused(identity->peer, "connect");
    return;
  }
  identity->peer.role = *role;
  if (!has_place(identity->peer)) {
    ++counters.without_place;
    return;
  }
  Result<std::unique_ptr<Connection>> connection =
      Connection::create(owner, std::move(socket), std::move(identity->peer));
  if (!connection) {  // memory or descriptors are short: the client sees a closed connection and may try again
    ++counters.without_place;
    return;
  }
  ++counters.accepted;
  connections.push_back(std::move(*connection));
}

bool Server::State::has_place(const Peer& peer) const {
  const auto count = [&](auto condition) {
    return static_cast<unsigned>(std::ranges::count_if(
        connections, [&](const auto& each) { return !each->has_ended() && condition(each->peer().uid); }));
  };
  const unsigned same = count([&](uid_t uid) { return uid == peer.uid; });
  if (peer.uid == options.owner) return same < options.limits.owner;
  const unsigned others = count([&](uid_t uid) { return uid != options.owner; });
  return same < options.limits.per_uid && others < options.limits.others;
}

void Server::State::note_end(std::uint64_t Counters::* cause) {
  if (cause != nullptr) ++(counters.*cause);
  (void)sd_event_source_set_enabled(sweep.get(), SD_EVENT_ONESHOT);  // fails only on a dead loop
}

int Server::State::on_sweep(sd_event_source* /*source*/, void* state) {
  std::erase_if(static_cast<State*>(state)->connections, [](const auto& each) { return each->has_ended(); });
  return 0;
}

std::size_t Server::State::pending_calls(uid_t uid) const {
  std::size_t pending = 0;
  for (const auto& connection : connections)
    if (connection->peer().uid == uid) pending += connection->pending_calls();
  return pending;
}

void Server::State::emit(const std::function<int(sd_bus* bus)>& emit) {
  for (const auto& connection : connections) connection->emit(emit);
}

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::create(sd_event* loop, UniqueFd listener, const ServerOptions& options,
                                               Service& service) {
  auto state = std::make_unique<State>(loop, std::move(listener), options, service);
  if (Result<void> watched = state->watch(); !watched) return pass(std::move(watched));
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

void Server::container_added(std::string_view name) {
  state_->emit([path = container_path(name)](sd_bus* bus) { return emit_container_added(bus, path); });
}

void Server::container_removed(std::string_view name) {
  state_->emit([path = container_path(name)](sd_bus* bus) { return emit_container_removed(bus, path); });
}

void Server::container_changed(std::string_view name) {
  state_->emit([path = container_path(name)](sd_bus* bus) { return emit_container_changed(bus, path); });
}

void Server::supervisor_changed() {
  state_->emit([](sd_bus* bus) { return emit_supervisor_changed(bus); });
}

BorrowedFd Server::listener() const {
  return state_->listener;
}

const Counters& Server::counters() const {
  return state_->counters;
}

std::size_t Server::connections() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(state_->connections, [](const auto& each) { return !each->has_ended(); }));
}

}  // namespace orlop::control
