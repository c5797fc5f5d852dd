// One datagram with descriptors over an AF_UNIX socket (unix(7), SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop {

/// Descriptors that one message may carry.
inline constexpr std::size_t max_message_fds = 16;

/// Sends `bytes` and copies of `fds` as one message, without waiting. false: the socket is full, nothing was sent.
/// kernel/EPIPE when the peer is gone.
Result<bool> send_message(BorrowedFd socket, std::span<const std::byte> bytes, std::span<const int> fds);

struct ReceivedMessage {
  std::size_t size = 0;       ///< bytes written into the caller's buffer; 0: the peer is gone
  std::vector<UniqueFd> fds;  ///< close-on-exec
};
/// Receives one message without waiting. Nothing: no message is there. corrupt/… when bytes or descriptors did not fit.
Result<std::optional<ReceivedMessage>> receive_message(BorrowedFd socket, std::span<std::byte> buffer);

}  // namespace orlop
