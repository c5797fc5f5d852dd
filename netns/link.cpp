#include "netns/link.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>

namespace orlop::netns {
namespace {

struct SocketClose {
  void operator()(mnl_socket* socket) const noexcept { (void)::mnl_socket_close(socket); }
};

}  // namespace

nlmsghdr* put_link_up(std::span<std::byte, link_message_size> buffer, int index, std::uint32_t sequence) {
  nlmsghdr* message = ::mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_NEWLINK;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message->nlmsg_seq = sequence;
  auto* link = static_cast<ifinfomsg*>(::mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = index;
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  return message;
}

Result<void> send_link_message(const nlmsghdr& request) {
  const char* const doing = "cannot change a network link";
  const std::unique_ptr<mnl_socket, SocketClose> socket(::mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket) return fail_errno(errno, "socket(AF_NETLINK)", doing);
  if (::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return fail_errno(errno, "bind(AF_NETLINK)", doing);
  if (::mnl_socket_sendto(socket.get(), &request, request.nlmsg_len) < 0)
    return fail_errno(errno, "sendto(AF_NETLINK)", doing);
  std::array<char, 1024> answer;  // an acknowledgement carries at most the request back
  const ssize_t size = ::mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
  if (size < 0) return fail_errno(errno, "recvfrom(AF_NETLINK)", doing);
  const unsigned port = ::mnl_socket_get_portid(socket.get());
  if (::mnl_cb_run(answer.data(), static_cast<std::size_t>(size), request.nlmsg_seq, port, nullptr, nullptr) < 0)
    return fail_errno(errno, "rtnetlink", doing);
  return {};
}

}  // namespace orlop::netns
