#include "netns/link.hpp"

#include <catch2/catch.hpp>

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cstring>

using namespace orlop::netns;

TEST_CASE("the message that sets a link up says only that, and asks for an answer", "[netns]") {
  alignas(nlmsghdr) std::array<std::byte, link_message_size> buffer{};
  const nlmsghdr* message = put_link_up(buffer, loopback_index, 7);
  CHECK(message->nlmsg_len == NLMSG_LENGTH(sizeof(ifinfomsg)));
  CHECK(message->nlmsg_type == RTM_NEWLINK);
  CHECK(message->nlmsg_flags == (NLM_F_REQUEST | NLM_F_ACK));
  CHECK(message->nlmsg_seq == 7);
  ifinfomsg link{};
  std::memcpy(&link, buffer.data() + NLMSG_HDRLEN, sizeof link);
  CHECK(link.ifi_index == 1);
  CHECK(link.ifi_flags == IFF_UP);
  CHECK(link.ifi_change == IFF_UP);
}
