// A Host as text again, with every default filled in; and the digest by which a changed container is known.
#pragma once

#include <string>

#include "base/digest.hpp"
#include "config/host.hpp"

namespace orlop::config {

/// host.toml with every value written out, one `key = value` a line; parse() of it gives an equal Host. Keys that are
/// unset are left out: what the image says counts there.
std::string effective_toml(const Host& host);
/// The section of one container, in the same form.
std::string effective_toml(const Container& container);

/// Equal for equal containers and, but for a collision of SHA-256, only for them: independent of the order, the
/// spelling and the comments of the file.
Sha256 digest(const Container& container);

}  // namespace orlop::config
