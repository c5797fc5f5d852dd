// Interface files of cgroups: small, written whole by one write(2), read whole by one read(2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::cgroups {

/// Writes `value` into `path` below `directory`.
Result<void> write_interface_file(BorrowedFd directory, const std::string& path, std::string_view value);
/// Reads `path` below `directory`, without the newline at its end.
Result<std::string> read_interface_file(BorrowedFd directory, const std::string& path);
/// Reads an open file from its start. This also rearms a poll for POLLPRI (kernfs).
Result<std::string> reread_interface_file(BorrowedFd file);
/// A file of one decimal number. corrupt/… for anything else.
Result<std::uint64_t> read_number(BorrowedFd directory, const std::string& path);
/// The number behind `key ` in a flat keyed file (cgroup-v2.rst, "Flat keyed"); 0 if no line has that key.
std::uint64_t keyed_number(std::string_view text, std::string_view key);
/// Whether `word` is one of the words of `text`, separated by spaces.
bool has_word(std::string_view text, std::string_view word);

}  // namespace orlop::cgroups
