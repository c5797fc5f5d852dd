// The audit record for people and programs. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/output/json.hpp"
#include "cli/output/terminal.hpp"
#include "supervisor/audit/reader.hpp"

namespace orlop::cli {

/// One line of `audit show`; what is no record is shown as what it is.
std::string entry_text(const std::optional<audit::Entry>& entry, std::string_view line, const Terminal& terminal);
/// The same for programs, one JSON object a line: the record as it stands in the file, or {"unreadable": …}.
std::string entry_json_line(const std::optional<audit::Entry>& entry, std::string_view line);

/// `SEQ:HASH`: a place in the chain as it is sent outside and given back to `audit verify --head`.
std::string link_text(const audit::Link& link);
Result<audit::Link> parse_link(std::string_view written);

std::string verified_text(const audit::Verified& verified, const Terminal& terminal);
Json verified_json(const audit::Verified& verified);

}  // namespace orlop::cli
