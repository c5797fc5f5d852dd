// What can only be judged when the whole file has been read: one key against another, one section against another.
#pragma once

#include "config/diagnostics.hpp"
#include "config/host.hpp"

namespace orlop::config {

/// Mounts of one container at most, its standard tmpfs included.
inline constexpr std::size_t max_mounts = 128;

/// Refuses what does not fit together, each at its place; says nothing about what reading already refused. Completes
/// what one key decides for another: a run that ends has no restart by default, and a mount at a standard tmpfs takes
/// its place.
void check(Host& host, Diagnostics& diagnostics);

}  // namespace orlop::config
