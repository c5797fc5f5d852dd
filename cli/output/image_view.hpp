// Images as tables and pages. Pure.
#pragma once

#include <string>

#include "cli/output/json.hpp"
#include "cli/output/terminal.hpp"
#include "image/record.hpp"

namespace orlop::cli {

/// The table of ListImages' answer, and a line for each record that is broken.
std::string images_text(const Json& answer, const Terminal& terminal);
/// `image inspect` for people: what the image says about itself, and what sealing did to it.
std::string image_text(const image::Record& record);
/// What sealing changed or left out, a line a finding; empty when nothing.
std::string report_text(const image::Record& record);

}  // namespace orlop::cli
