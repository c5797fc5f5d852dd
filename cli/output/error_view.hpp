// Errors for people and for programs.
#pragma once

#include <span>
#include <string>

#include "base/error.hpp"
#include "cli/output/json.hpp"
#include "cli/output/terminal.hpp"

namespace orlop::cli {

/// An error that came over the bus carries its remedy as the last line of its text: puts it where it belongs. Others,
/// and texts that tell of several errors, stay as they are.
Error with_remedy_apart(Error error);

/// `orlop: TEXT` and a newline, safe for a terminal.
std::string error_text(const Error& error, const Terminal& terminal);
/// {"kind", "message"}, and "call", "errno", "place", "remedy" as far as they are known.
Json error_json(const Error& error);
/// {"error": …}; the errors of one host file are listed in its "errors".
Json errors_json(std::span<const Error> errors, const std::string& summary);

/// Prints an error to where it goes: as JSON to standard output, else to standard error.
void report(const Error& error, bool json);

}  // namespace orlop::cli
