// The record of a container as a file. Strict: what this version did not write, it does not read.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "supervisor/core/state.hpp"

namespace orlop::core {

/// Of the form below. A reader refuses every other.
inline constexpr int record_version = 1;
/// The most bytes that record_json() gives and read_record() takes.
inline constexpr std::size_t max_record_bytes = 256 * 1024;

/// One JSON object, ending in a newline.
std::string record_json(const std::string& name, const Record& record);

struct NamedRecord {
  std::string name;
  Record record;
};
/// unsupported/… for a newer version; corrupt/… for anything else that is not exactly what record_json() writes. The
/// caller then leaves the file alone and names it.
Result<NamedRecord> read_record(std::string_view bytes);

}  // namespace orlop::core
