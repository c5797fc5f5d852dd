#include "supervisor/control/connection.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/sys.hpp"
#include "supervisor/control/api.hpp"

namespace orlop::control {
namespace {

// One read; a client with more to say waits until the others had their turn.
constexpr std::size_t read_bytes = 64 * 1024;
constexpr int reads_in_a_row = 16;
// sd-bus raises the buffer of its output to 8 MiB: too much to give to each client that does not read.
constexpr int send_buffer_bytes = 128 * 1024;
constexpr auto deadline_accuracy_usec = 10'000;

std::uint64_t usec(Duration duration) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

// Receives at most buffer.size() bytes and appends the descriptors that came along. -1 with errno; 0: the peer is gone.
ssize_t receive(int socket, std::span<char> buffer, std::vector<UniqueFd>& fds, bool& truncated) {
  iovec data{.iov_base = buffer.data(), .iov_len = buffer.size()};
  // Room for one more than allowed, so that the gate sees the excess; what is beyond that the kernel closes.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * (max_call_fds + 1))> control;
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t received = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) return received;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  truncated = (header.msg_flags & MSG_CTRUNC) != 0;
  return received;
}

// Sends what fits, `fds` with the first byte. -1 with errno.
ssize_t send(int socket, std::string_view bytes, std::span<const UniqueFd> fds) {
  iovec data{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * max_call_fds)> control{};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    for (std::size_t i = 0; i < fds.size(); ++i) {
      const int fd = fds[i].get();
      std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::unexpected<Error> bus_failure(int negative_errno, std::string fact) {
  return fail_errno(-negative_errno, "sd-bus", std::move(fact));
}

}  // namespace

Connection::Connection(const ConnectionOwner& owner, UniqueFd socket, Peer peer)
    : owner_(owner),
      peer_(std::move(peer)),
      // Descriptors come from the admin alone, since no method for readers takes one.
      gate_(peer_.uid, peer_.role == Role::admin ? max_call_fds : 0),
      socket_(std::move(socket)) {}

Result<std::unique_ptr<Connection>> Connection::create(const ConnectionOwner& owner, UniqueFd socket, Peer peer) {
  std::unique_ptr<Connection> connection(new Connection(owner, std::move(socket), std::move(peer)));
  if (Result<void> opened = connection->open_bus(); !opened) return pass(std::move(opened));
  if (Result<void> watched = connection->watch(); !watched) return pass(std::move(watched));
  return connection;
}

// sd_bus_set_fd(3), sd_bus_set_server(3): one bus of two sockets, anonymous and trusting, because the gate has asked
// for the identity already. It is driven by hand, not attached to the loop: each unit is processed before the next.
Result<void> Connection::open_bus() {
  auto pair = sys::socketpair(SOCK_STREAM);
  if (!pair) return pass(std::move(pair));
  Result<UniqueFd> output = sys::duplicate(socket_);
  if (!output) return pass(std::move(output));
  sd_bus* bus = nullptr;
  if (const int r = sd_bus_new(&bus); r < 0) return bus_failure(r, "cannot make a bus");
  bus_.reset(bus);
  sd_id128_t id{};
  if (const int r = sd_id128_randomize(&id); r < 0) return bus_failure(r, "cannot make the bus's id");
  if (const int r = sd_bus_set_fd(bus, pair->second.get(), output->get()); r < 0)
    return bus_failure(r, "cannot give the bus its sockets");
  (void)pair->second.release();  // the bus has them now
  (void)output->release();
  inbound_ = std::move(pair->first);
  int r = sd_bus_set_server(bus, 1, id);
  if (r >= 0) r = sd_bus_set_anonymous(bus, 1);
  if (r >= 0) r = sd_bus_set_trusted(bus, 1);
  if (r >= 0) r = sd_bus_negotiate_fds(bus, 1);
  if (r >= 0) r = sd_bus_add_filter(bus, nullptr, &Connection::on_message, this);
  if (r >= 0) r = add_objects(bus, *this);
  if (r >= 0) r = sd_bus_start(bus);
  if (r < 0) return bus_failure(r, "cannot start a bus");
  if (::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes) < 0)
    return fail_errno(errno, "setsockopt", "cannot bound a client's buffer");
  return {};
}

Result<void> Connection::watch() {
  sd_event_source* source = nullptr;
  if (const int r = sd_event_add_io(owner_.loop, &source, socket_.get(), EPOLLIN, &Connection::on_io, this); r < 0)
    return bus_failure(r, "cannot watch a client");
  io_.reset(source);
  unfinished_ = BootClock::now() + owner_.limits.authenticate;
  if (const int r = sd_event_add_time(owner_.loop, &source, CLOCK_BOOTTIME, 0, deadline_accuracy_usec,
                                      &Connection::on_deadline, this);
      r < 0)
    return bus_failure(r, "cannot set a client's deadline");
  timer_.reset(source);
  set_deadline();
  return {};
}

int Connection::on_io(sd_event_source* /*source*/, int /*fd*/, std::uint32_t events, void* connection) {
  auto& self = *static_cast<Connection*>(connection);
  if (self.ended_) return 0;
  if ((events & EPOLLIN) != 0) {
    self.read();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    self.end(nullptr);
  } else {
    self.undrained_.reset();  // the client took something: the time begins anew
    if (self.process()) self.settle();
  }
  return 0;
}

int Connection::on_message(sd_bus_message* /*message*/, void* connection, sd_bus_error* /*error*/) {
  ++static_cast<Connection*>(connection)->arrived_;
  return 0;  // goes on to the objects
}

int Connection::on_deadline(sd_event_source* /*source*/, std::uint64_t /*usec*/, void* connection) {
  auto& self = *static_cast<Connection*>(connection);
  const BootTime now = BootClock::now();
  if (self.undrained_ && *self.undrained_ <= now)
    self.end(&Counters::slow);
  else if (self.unfinished_ && *self.unfinished_ <= now)
    self.end(&Counters::late);
  else
    self.set_deadline();
  return 0;
}

void Connection::read() {
  std::array<char, read_bytes> buffer;
  for (int i = 0; i < reads_in_a_row && !must_write(); ++i) {
    const std::size_t before = received_.size();
    bool truncated = false;
    const std::span<char> room = std::span(buffer).first(std::min(gate_.want(), buffer.size()));
    const ssize_t count = receive(socket_.get(), room, received_, truncated);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (count <= 0) return end(nullptr);
    if (truncated) return end(&Counters::malformed);
    const bool was_within = gate_.is_within_message();
    const Result<std::vector<Unit>> units =
        gate_.feed({buffer.data(), static_cast<std::size_t>(count)}, received_.size() - before);
    if (!units) return end(&Counters::malformed);
    for (const Unit& unit : *units)
      if (!forward(unit)) return;
    if (!gate_.is_authenticated()) continue;  // the deadline of authentication stands
    if (!gate_.is_within_message())
      unfinished_.reset();
    else if (!was_within || !units->empty())
      unfinished_ = BootClock::now() + owner_.limits.message;
  }
  settle();
}

// Gives one unit to sd-bus and lets it finish with it. A unit may be larger than the socketpair holds; then sd-bus
// takes it in parts.
bool Connection::forward(const Unit& unit) {
  const std::uint64_t arrived = arrived_;
  std::string_view rest = unit.bytes;
  std::span<const UniqueFd> fds = std::span<const UniqueFd>(received_).first(unit.fds);
  bool stuck = false;
  while (!rest.empty()) {
    const ssize_t sent = send(inbound_.get(), rest, fds);
    if (sent < 0 && (errno != EAGAIN || stuck)) {
      end(&Counters::malformed);  // sd-bus has closed its end, or does not read: it will have none of this
      return false;
    }
    stuck = sent < 0;
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
      fds = {};
    }
    if (!process()) return false;
  }
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(unit.fds));
  if (unit.is_call && arrived_ == arrived) end(&Counters::malformed);
  return !ended_;
}

// Lets sd-bus do all that it can do now. false: the connection has ended.
bool Connection::process() {
  int r = 1;
  while (r > 0 && !ended_) r = sd_bus_process(bus_.get(), nullptr);
  const bool hung_up = r == -ECONNRESET || r == -EPIPE || r == -ENOTCONN || r == -ESHUTDOWN;
  if (r < 0) end(hung_up ? nullptr : &Counters::malformed);
  return !ended_;
}

// After anything was sent: bounds what waits for the client, and listens for what matters next.
void Connection::settle() {
  if (ended_) return;
  std::uint64_t queued = 0;
  (void)sd_bus_get_n_queued_write(bus_.get(), &queued);  // fails only on another process's bus
  if (queued > owner_.limits.queued_writes) return end(&Counters::slow);
  const bool writing = must_write();
  if (!writing)
    undrained_.reset();
  else if (!undrained_)
    undrained_ = BootClock::now() + owner_.limits.drain;
  set_deadline();
  if (!ended_ && sd_event_source_set_io_events(io_.get(), writing ? EPOLLOUT : EPOLLIN) < 0) end(nullptr);
}

bool Connection::must_write() const {
  const int events = ended_ ? 0 : sd_bus_get_events(bus_.get());
  return events > 0 && (events & POLLOUT) != 0;
}

void Connection::set_deadline() {
  if (!unfinished_ && !undrained_) {
    (void)sd_event_source_set_enabled(timer_.get(), SD_EVENT_OFF);  // fails only on a dead loop
    return;
  }
  const BootTime next = std::min(unfinished_.value_or(BootTime::max()), undrained_.value_or(BootTime::max()));
  if (sd_event_source_set_time(timer_.get(), usec(next.time_since_epoch()) + 1) < 0 ||
      sd_event_source_set_enabled(timer_.get(), SD_EVENT_ONESHOT) < 0)
    end(nullptr);
}

void Connection::end(std::uint64_t Counters::* cause) {
  if (std::exchange(ended_, true)) return;
  io_.reset();
  timer_.reset();
  owner_.ended(cause);
}

Result<std::shared_ptr<PendingCall>> Connection::expect_answer(sd_bus_message* message) {
  if (owner_.pending_calls(peer_.uid) >= owner_.limits.pending)
    return fail(ErrorKind::limit, "too many calls of this user wait for an answer",
                "wait for one of them, or close the connection that made them");
  auto call = std::make_shared<PendingCall>(
      PendingCall{.connection = *this, .message = BusMessage(sd_bus_message_ref(message))});
  calls_.insert(call);
  return call;
}

void Connection::answer(const PendingCall& call, sd_bus_message* answer) {
  if (answer != nullptr && !ended_) (void)sd_bus_send(bus_.get(), answer, nullptr);  // process() tells of a broken bus
  std::erase_if(calls_, [&](const std::shared_ptr<PendingCall>& each) { return each.get() == &call; });
  settle();
}

void Connection::emit(const std::function<int(sd_bus* bus)>& emit) {
  if (ended_ || !gate_.is_authenticated()) return;
  (void)emit(bus_.get());  // a broken bus shows in process(); a signal is worth no more than its connection
  settle();
}

}  // namespace orlop::control
