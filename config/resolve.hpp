// A container of the file and the record of its image, put together. This is where the front door for host.toml ends:
// what comes out says all that launching needs, and no name of a user or group is left in it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "config/host.hpp"
#include "image/record.hpp"
#include "sandbox/spec.hpp"

namespace orlop::config {

/// What the supervisor itself may use, and so give on.
struct Inherited {
  std::uint64_t open_files = defaults::open_files_hard;  ///< its hard RLIMIT_NOFILE
};

/// Whether the image has `target` as a directory, no component of it a link. The record lists only what sealing made
/// sure of.
using HoldsDirectory = std::function<bool(const std::string& target)>;

/// Bytes of all of env, and of all of argv, with their ends.
inline constexpr std::size_t max_vector_bytes = 128U << 10;
inline constexpr std::size_t max_groups = 64;

/// The Spec of one start of `container` from the image of `record`. `entrypoint` and `command` count as in Docker: a
/// command of the file replaces the image's; an entrypoint of the file replaces the image's entrypoint and drops its
/// command. The file's `user` wins over the image's; env is the image's with the file's laid over it.
///
/// @return config/… with the place of the key: nothing to run; a user or group that the image does not have; uid 0 or
///         no user without allow.root_user; a mount target that the image lacks; env or arguments too large
Result<sandbox::Spec> resolve(const Container& container, const image::Record& record, const Inherited& inherited = {},
                              const HoldsDirectory& holds = {});

/// The health check that counts: the file's, else the image's HEALTHCHECK; nothing if there is none.
std::optional<Health> health_check(const Container& container, const image::Record& record);

/// The signal that asks the container to end: the file's, else the image's STOPSIGNAL, else SIGTERM.
int stop_signal(const Container& container, const image::Record& record);

}  // namespace orlop::config
