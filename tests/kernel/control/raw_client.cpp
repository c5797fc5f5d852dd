#include "tests/kernel/control/raw_client.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <catch2/catch.hpp>

#include <array>
#include <cstring>
#include <vector>

namespace orlop::control {
namespace {

constexpr int patience_ms = 10'000;

short wait_for(int fd, short events, int timeout_ms) {
  pollfd watched{.fd = fd, .events = events, .revents = 0};
  return ::poll(&watched, 1, timeout_ms) > 0 ? watched.revents : short{0};
}

void align(std::string& bytes, std::size_t boundary) {
  while (bytes.size() % boundary != 0) bytes += '\0';
}

void put_number(std::string& bytes, std::uint32_t number) {
  align(bytes, 4);
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(number >> (8 * i));
}

void put_field(std::string& fields, char code, char type, const std::string& value) {
  align(fields, 8);
  fields += code;
  fields += '\1';
  fields += type;
  fields += '\0';
  if (type == 'g')
    fields += static_cast<char>(value.size());
  else
    put_number(fields, static_cast<std::uint32_t>(value.size()));
  fields += value + '\0';
}

}  // namespace

RawClient::RawClient(const std::string& socket_path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(socket_path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  REQUIRE(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) == 0);
}

bool RawClient::send(std::string_view bytes, std::span<const int> fds) {
  while (!bytes.empty()) {
    iovec data{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (!fds.empty()) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      cmsghdr* part = CMSG_FIRSTHDR(&header);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * fds.size());
    }
    const ssize_t sent = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN && (wait_for(socket_.get(), POLLOUT, patience_ms) & POLLOUT) != 0) continue;
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
    fds = {};
  }
  return true;
}

std::size_t RawClient::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

bool RawClient::receive_until(std::string_view wanted) {
  while (received_.find(wanted) == std::string::npos) {
    if (wait_for(socket_.get(), POLLIN, patience_ms) == 0) return false;
    std::array<char, 65536> buffer;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return false;
    received_.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return true;
}

bool RawClient::is_closed_within(Duration limit) const {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
  return (wait_for(socket_.get(), POLLRDHUP, static_cast<int>(milliseconds)) & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::string greeting(unsigned uid) {
  std::string digits;
  for (const char digit : std::to_string(uid)) digits += fmt::format("{:02x}", digit);
  return '\0' + fmt::format("AUTH EXTERNAL {}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n", digits);
}

std::string call_bytes(const std::string& path, const std::string& interface, const std::string& member,
                       const std::string& signature, const std::string& body, std::uint32_t fds) {
  std::string fields;
  put_field(fields, 1, 'o', path);
  put_field(fields, 2, 's', interface);
  put_field(fields, 3, 's', member);
  if (!signature.empty()) put_field(fields, 8, 'g', signature);
  if (fds > 0) {
    align(fields, 8);
    fields += std::string("\x09\x01u\0", 4);
    put_number(fields, fds);
  }
  std::string bytes = {'l', 1, 0, 1};
  put_number(bytes, static_cast<std::uint32_t>(body.size()));
  put_number(bytes, 1);  // serial
  put_number(bytes, static_cast<std::uint32_t>(fields.size()));
  bytes += fields;
  align(bytes, 8);
  return bytes + body;
}

}  // namespace orlop::control
