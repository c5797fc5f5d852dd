// `dev_log`: the socket behind a container's /dev/log (syslog(3)), whose messages go into the container's own log.
//
// A message is taken off the socket only after it stands in the output pipe, which the guardian keeps: orlopd killed in
// between leaves it to the next one, which then writes that one message a second time. While the container runs none is
// lost.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/event_loop.hpp"

namespace orlop::supervisor {

/// The socket of one start and a mount of its file.
struct DevLogSocket {
  UniqueFd socket;  ///< datagrams of syslog(3); kept by the guardian too
  UniqueFd mount;   ///< detached, for /dev/log
};
/// Makes it as `name` in `directory` (of orlopd's mount view, at `path` as orlopd sees it) for the host ids `uid` and
/// `gid`. A mount of a name that is gone cannot be attached: its name is removed when the container has ended.
Result<DevLogSocket> make_dev_log(BorrowedFd directory, const std::string& path, const std::string& name, uid_t uid,
                                  gid_t gid);

/// Moves messages from the socket into the pipe, as a part of the loop.
class DevLog {
 public:
  /// Bytes of one message that are read; a line is at most PIPE_BUF bytes, the rest is cut off.
  static constexpr std::size_t max_message_bytes = 8192;

  /// `pipe`: the read end of the container's standard output; a write end of its own is opened from it.
  static Result<std::unique_ptr<DevLog>> open(const EventLoop& loop, UniqueFd socket, BorrowedFd pipe);
  DevLog(const DevLog&) = delete;
  DevLog& operator=(const DevLog&) = delete;
  /// Moves what is there now.
  void drain();

 private:
  DevLog() = default;
  bool move_one();

  UniqueFd socket_;
  UniqueFd output_;
  EventSource readable_;
  EventSource writable_;
};

/// The line of a log that `message` becomes: without the NUL and line ends at its end, those inside as spaces.
std::string dev_log_line(std::string message);

}  // namespace orlop::supervisor
