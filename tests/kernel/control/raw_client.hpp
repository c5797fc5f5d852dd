// A client that may say anything: raw bytes and descriptors over the control socket.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/time.hpp"

namespace orlop::control {

class RawClient {
 public:
  /// Connects, non-blocking afterwards.
  explicit RawClient(const std::string& socket_path);

  /// Sends all of `bytes`, `fds` with the first; waits for room for at most 10 s. false: the server has closed.
  bool send(std::string_view bytes, std::span<const int> fds = {});
  /// Sends what fits now. The number of bytes, 0 if the socket is full or closed.
  std::size_t send_some(std::string_view bytes);
  /// Reads until `wanted` stands in what came, for at most 10 s. false: closed or late.
  bool receive_until(std::string_view wanted);
  /// Waits until the server closes, for at most `limit`, reading nothing.
  [[nodiscard]] bool is_closed_within(Duration limit) const;
  [[nodiscard]] const std::string& received() const { return received_; }
  [[nodiscard]] BorrowedFd socket() const { return socket_; }

 private:
  UniqueFd socket_;
  std::string received_;
};

/// NUL, EXTERNAL for `uid`, NEGOTIATE_UNIX_FD and BEGIN.
std::string greeting(unsigned uid);
/// A method call without destination; `signature` and `body` (marshalled, little-endian) are its arguments; `fds`
/// stands in its header.
std::string call_bytes(const std::string& path, const std::string& interface, const std::string& member,
                       const std::string& signature = {}, const std::string& body = {}, std::uint32_t fds = 0);

}  // namespace orlop::control
