// What the core is told of a container: its life, out of the host file and its image's record.
#pragma once

#include "config/host.hpp"
#include "image/record.hpp"
#include "supervisor/core/wanted.hpp"

namespace orlop::supervisor {

/// The digest covers the container's section and the image; what the section leaves open (health check, stop signal) is
/// the image's.
core::Wanted wanted_of(const config::Container& container, const image::Record& record);

}  // namespace orlop::supervisor
