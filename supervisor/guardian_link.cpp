#include "supervisor/guardian_link.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/message.hpp"
#include "base/sys.hpp"

namespace orlop::supervisor {

namespace {

using guardian::FdName;
using guardian::Report;
using guardian::ReportKind;
using guardian::Request;
using guardian::RequestKind;

Result<FdName> fd_name(std::string_view name) {
  FdName result;
  if (name.empty() || name.size() >= sizeof result.text || name.find('\0') != std::string_view::npos)
    return fail(ErrorKind::internal, "a descriptor's name '" + std::string(name) + "' is not 1 to 47 bytes long");
  std::copy(name.begin(), name.end(), result.text);
  return result;
}

std::string text_of(const FdName& name) {
  return std::string(name.text, strnlen(name.text, sizeof name.text));
}

Exited exited(const Report& report) {
  return {.start = report.start,
          .pid = report.exit.pid,
          .code = report.exit.code,
          .status = report.exit.status,
          .at = BootTime(Duration(report.exit.boottime_ns)),
          .user = std::chrono::microseconds(report.exit.user_us),
          .system = std::chrono::microseconds(report.exit.system_us),
          .max_rss = Bytes{report.exit.max_rss_kib << 10}};
}

std::string_view reason(guardian::Refusal refusal) {
  switch (refusal) {
    case guardian::Refusal::none:
      break;
    case guardian::Refusal::no_slot:
      return "the guardian's table is full";
    case guardian::Refusal::no_descriptor:
      return "the guardian has reached its limit of open files";
    case guardian::Refusal::known_start:
      return "the guardian knows this start already";
  }
  return "the guardian gave no reason";
}

bool carries_fd(ReportKind kind) {
  return kind == ReportKind::kept || kind == ReportKind::running;
}

std::unexpected<Error> unexpected_report(ReportKind kind) {
  return fail(ErrorKind::corrupt, "the guardian sent message kind " + std::to_string(static_cast<std::uint32_t>(kind)) +
                                      " out of its turn");
}

}  // namespace

GuardianLink::GuardianLink(UniqueFd socket) : socket_(std::move(socket)) {
  (void)::fcntl(socket_.get(), F_SETFD, FD_CLOEXEC);  // a socket that is none is told by the first call
}

Result<Replay> GuardianLink::take_back(Duration timeout) {
  if (Result<void> sent = send({.kind = RequestKind::hello}, {}); !sent) return fail(std::move(sent), "hello");
  const BootTime deadline = BootClock::now() + timeout;
  Replay replay;
  bool welcomed = false;
  for (;;) {
    Result<std::optional<Received>> received = receive_one();
    if (!received) return fail(std::move(received), "cannot take back what the guardian keeps");
    if (!*received) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - BootClock::now());
      pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (left.count() <= 0)
        return fail_errno(ETIMEDOUT, "poll",
                          "the guardian did not tell within " + format_duration(timeout) + " what it keeps");
      if (::poll(&readable, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000))) < 0 && errno != EINTR)
        return fail_errno(errno, "poll", "cannot wait for the guardian");
      continue;
    }
    auto& [report, fd] = **received;
    if (welcomed == (report.kind == ReportKind::welcome)) return unexpected_report(report.kind);
    switch (report.kind) {
      case ReportKind::welcome:
        welcomed = true;
        replay.hands_off = report.hands_off != 0;
        replay.deaths = report.counts.deaths;
        break;
      case ReportKind::kept:
        replay.kept.push_back({.name = text_of(report.name), .fd = std::move(fd)});
        break;
      case ReportKind::running:
        replay.running.push_back({.start = report.start, .pid = report.pid, .pidfd = std::move(fd)});
        break;
      case ReportKind::exited: {
        // It may have been told as running a moment ago: the exit is the truth.
        std::erase_if(replay.running, [&](const Running& running) { return running.start == report.start; });
        replay.exits.push_back(exited(report));
        break;
      }
      case ReportKind::replay_end:
        return replay;
      default:
        return unexpected_report(report.kind);
    }
  }
}

Result<void> GuardianLink::register_start(std::uint64_t start, pid_t pid, BorrowedFd pidfd,
                                          std::span<const NamedFd> named) {
  if (named.size() > guardian::max_register_fds)
    return fail(ErrorKind::internal, "start " + std::to_string(start) + " registers too many descriptors");
  Request request{.kind = RequestKind::register_start, .start = start, .pid = pid};
  std::array<int, guardian::max_request_fds> fds = {pidfd.get()};
  for (std::size_t i = 0; i < named.size(); ++i) {
    Result<FdName> name = fd_name(named[i].name);
    if (!name) return pass(std::move(name));
    request.names[i] = *name;
    fds[1 + i] = named[i].fd.get();
  }
  return send(request, std::span(fds).first(1 + named.size()));
}

Result<void> GuardianLink::keep(std::string_view name, BorrowedFd fd) {
  Result<FdName> key = fd_name(name);
  if (!key) return pass(std::move(key));
  const int number = fd.get();
  return send({.kind = RequestKind::keep, .names = {*key}}, std::span(&number, 1));
}

Result<void> GuardianLink::drop(std::string_view name) {
  Result<FdName> key = fd_name(name);
  if (!key) return pass(std::move(key));
  return send({.kind = RequestKind::drop, .names = {*key}}, {});
}

Result<void> GuardianLink::acknowledge(std::uint64_t start) {
  return send({.kind = RequestKind::acknowledge, .start = start}, {});
}

Result<void> GuardianLink::pong() {
  return send({.kind = RequestKind::pong}, {});
}

Result<void> GuardianLink::stopping() {
  return send({.kind = RequestKind::stopping}, {});
}

Result<std::vector<Message>> GuardianLink::receive() {
  std::vector<Message> messages;
  for (;;) {
    Result<std::optional<Received>> received = receive_one();
    if (!received) return pass(std::move(received));
    if (!*received) return messages;
    const Report& report = (*received)->report;
    switch (report.kind) {
      case ReportKind::registered:
        messages.emplace_back(Registered{report.start});
        break;
      case ReportKind::gone:
        messages.emplace_back(Gone{report.start});
        break;
      case ReportKind::refused:
        messages.emplace_back(Refused{report.start, text_of(report.name), std::string(reason(report.refusal))});
        break;
      case ReportKind::exited:
        messages.emplace_back(exited(report));
        break;
      case ReportKind::ping:
        messages.emplace_back(Ping{});
        break;
      case ReportKind::terminate:
        messages.emplace_back(Terminate{report.signal});
        break;
      default:
        return unexpected_report(report.kind);
    }
  }
}

Result<void> GuardianLink::flush() {
  while (!queue_.empty()) {
    const Queued& next = queue_.front();
    std::array<int, guardian::max_request_fds> fds{};
    for (std::size_t i = 0; i < next.fds.size(); ++i) fds[i] = next.fds[i].get();
    const Result<bool> sent =
        send_message(socket_, std::as_bytes(std::span(&next.request, 1)), std::span(fds).first(next.fds.size()));
    if (!sent) return fail(sent.error(), "the guardian is gone");
    if (!*sent) return {};
    queue_.pop_front();
  }
  return {};
}

Result<void> GuardianLink::send(const Request& request, std::span<const int> fds) {
  if (queue_.empty()) {
    const Result<bool> sent = send_message(socket_, std::as_bytes(std::span(&request, 1)), fds);
    if (!sent) return fail(sent.error(), "cannot tell the guardian");
    if (*sent) return {};
  }
  if (queue_.size() >= max_queued)
    return fail(ErrorKind::limit, "the guardian has not read " + std::to_string(max_queued) + " messages");
  Queued queued{.request = request, .fds = {}};
  for (const int fd : fds) {
    Result<UniqueFd> copy = sys::duplicate(BorrowedFd(fd));
    if (!copy) return fail(std::move(copy), "cannot keep a message to the guardian until it can be sent");
    queued.fds.push_back(std::move(*copy));
  }
  queue_.push_back(std::move(queued));
  return {};
}

Result<std::optional<GuardianLink::Received>> GuardianLink::receive_one() {
  Report report;
  Result<std::optional<ReceivedMessage>> received =
      receive_message(socket_, std::as_writable_bytes(std::span(&report, 1)));
  if (!received) return fail(std::move(received), "cannot hear the guardian");
  if (!*received) return std::optional<Received>{};
  auto& [size, fds] = **received;
  if (size == 0) return fail_errno(EPIPE, "recvmsg", "the guardian is gone");
  if (size != sizeof report || report.version != guardian::protocol_version ||
      fds.size() != (carries_fd(report.kind) ? 1U : 0U))
    return fail(ErrorKind::corrupt,
                "the guardian speaks another protocol than version " + std::to_string(guardian::protocol_version) +
                    " of this orlopd",
                "install orlop-init and orlopd of one release");
  return std::optional(Received{.report = report, .fd = fds.empty() ? UniqueFd() : std::move(fds.front())});
}

}  // namespace orlop::supervisor
