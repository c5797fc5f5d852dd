// The front door for host.toml.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/document.hpp"
#include "config/host.hpp"

namespace orlop::config {

/// Reads a whole host file; `file_name` is for places only. What is returned is valid as a whole, with every default
/// filled in.
///
/// @return all errors of the file in its order, each with place, offending text and what is allowed; a syntax error
///         (and a file over max_file_bytes) stands alone
std::expected<Host, std::vector<Error>> parse(std::string_view text, std::string file_name);

}  // namespace orlop::config
