// The /dev that every container sees: one read-only template, cloned for each start.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::sandbox {

/// A detached, read-only tmpfs (nosuid, noexec) with null, zero, full, random, urandom, tty, the links to
/// /proc/self/fd, ptmx, and empty places for pts, shm and log. The nodes are made here: none comes from an image. Needs
/// CAP_MKNOD.
Result<UniqueFd> make_dev();

}  // namespace orlop::sandbox
