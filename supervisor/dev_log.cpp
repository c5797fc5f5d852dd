#include "supervisor/dev_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/sys.hpp"

namespace orlop::supervisor {

Result<DevLogSocket> make_dev_log(BorrowedFd directory, const std::string& path, const std::string& name, uid_t uid,
                                  gid_t gid) {
  const std::string doing = "cannot make /dev/log";
  DevLogSocket made;
  made.socket.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.socket) return fail_errno(errno, "socket", doing);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string file = path + "/" + name;
  std::memcpy(address.sun_path, file.c_str(), std::min(file.size() + 1, sizeof address.sun_path - 1));
  if (::bind(made.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(errno, "bind", doing);
  if (::fchownat(directory.get(), name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(directory.get(), name.c_str(), 0600, 0) != 0)
    return fail_errno(errno, "fchownat", doing);
  Result<UniqueFd> mount = sys::clone_mount(directory, name.c_str(), false);
  if (!mount) return fail(std::move(mount), doing);
  made.mount = std::move(*mount);
  return made;
}

Result<std::unique_ptr<DevLog>> DevLog::open(const EventLoop& loop, UniqueFd socket, BorrowedFd pipe) {
  std::unique_ptr<DevLog> log(new DevLog);
  // Opening a pipe by its descriptor's link in /proc gives a new open file of it, here one for writing.
  Result<UniqueFd> output = sys::open(fmt::format("/proc/self/fd/{}", pipe.get()), O_WRONLY | O_NONBLOCK);
  if (!output) return fail(std::move(output), "cannot write into the container's log");
  log->socket_ = std::move(socket);
  log->output_ = std::move(*output);
  DevLog* self = log.get();
  Result<EventSource> readable = loop.io(log->socket_, EPOLLIN, [self](std::uint32_t) { self->drain(); });
  if (!readable) return pass(std::move(readable));
  log->readable_ = std::move(*readable);
  Result<EventSource> writable = loop.io(log->output_, EPOLLOUT, [self](std::uint32_t) {
    self->writable_.enable(false);
    self->readable_.enable(true);
  });
  if (!writable) return pass(std::move(writable));
  log->writable_ = std::move(*writable);
  log->writable_.enable(false);
  return log;
}

void DevLog::drain() {
  for (int moved = 0; moved < 64; ++moved)  // the rest of a flood waits for the loop's next round
    if (!move_one()) return;
}

bool DevLog::move_one() {
  std::string message(max_message_bytes, '\0');
  const ssize_t size = ::recv(socket_.get(), message.data(), message.size(), MSG_PEEK | MSG_DONTWAIT);
  if (size < 0) return false;
  message.resize(static_cast<std::size_t>(size));
  const std::string line = dev_log_line(std::move(message));
  if (::write(output_.get(), line.data(), line.size()) < 0) {
    readable_.enable(false);  // the pipe is full: the sender waits, as it would for a slow syslog daemon
    writable_.enable(true);
    return false;
  }
  char none = 0;
  (void)::recv(socket_.get(), &none, 0, MSG_DONTWAIT);  // takes the message that was peeked at off the queue
  return true;
}

std::string dev_log_line(std::string message) {
  while (!message.empty() && (message.back() == '\0' || message.back() == '\n')) message.pop_back();
  std::ranges::replace(message, '\n', ' ');
  if (message.size() >= PIPE_BUF) message.resize(PIPE_BUF - 1);  // so much a pipe takes whole or not at all
  return message + "\n";
}

}  // namespace orlop::supervisor
