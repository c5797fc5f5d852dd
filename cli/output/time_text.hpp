// Times as people read and write them.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/time.hpp"

namespace orlop::cli {

/// How long ago, by its largest unit: `12s`, `5min`, `3h`, `8d`; `0s` for what is yet to come.
std::string age(WallTime moment, WallTime now);
/// age() of an RFC 3339 time; `-` for an empty or another text.
std::string age(std::string_view written, WallTime now);
/// `--since`: a time (RFC 3339), or a duration that counts back from `now`.
Result<WallTime> parse_since(std::string_view written, WallTime now);

}  // namespace orlop::cli
