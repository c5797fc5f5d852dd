// Messages of rtnetlink about links: a pure function writes one into the caller's buffer, another sends it.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.hpp"

namespace orlop::netns {

/// Index of `lo` in every namespace: it is the first link there.
inline constexpr int loopback_index = 1;
/// Bytes that hold any message of this file.
inline constexpr std::size_t link_message_size = 64;

/// Writes "set link `index` up, acknowledged under `sequence`" into `buffer`, which must be 4-byte aligned.
/// Source: rtnetlink(7), RTM_NEWLINK.
nlmsghdr* put_link_up(std::span<std::byte, link_message_size> buffer, int index, std::uint32_t sequence);

/// Sends `request` in the calling thread's network namespace and waits for its acknowledgement.
Result<void> send_link_message(const nlmsghdr& request);

}  // namespace orlop::netns
