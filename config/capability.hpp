// Which capabilities of capabilities(7) a container may be given, and why the others are refused. Numbers and names
// come from libcap.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace orlop::config {

/// The number of a capability written with or without `CAP_`, in upper case. config/… when there is none of that name,
/// when it acts on the host only, and for SYS_ADMIN: the fact says which, the remedy what can be done.
Result<unsigned> parse_capability(std::string_view written);
/// The names of the set bits, without `CAP_`, in the order of their numbers.
std::vector<std::string> capability_names(std::uint64_t mask);
/// Whether `mask` holds a capability over the container's network, which then must belong to its own user namespace.
bool needs_own_network(std::uint64_t mask);

}  // namespace orlop::config
