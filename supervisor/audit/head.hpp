// The head of the audit log: how far it reached when it was last known to be on the disk. It stands in a directory of
// its own (orlopd's state), so that a tail cut off the log shows.
//
// Order of a group: lines written, fdatasync of the file, head replaced durably. So a power cut or a kill leaves lines
// beyond the head (whole: they count; torn: nobody was told of them) and never a head beyond the lines. A head beyond
// the lines is therefore a cut.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/audit/record.hpp"

namespace orlop::audit {

struct Head {
  Link last = {};                 ///< the last line known to be on the disk
  std::uint64_t file = 1;         ///< the file that holds it
  std::uint64_t offset = 0;       ///< where that file's next line goes
  std::uint64_t oldest_file = 1;  ///< older files were rotated away
  Link before_oldest = {};        ///< the line before the first of oldest_file

  friend bool operator==(const Head&, const Head&) = default;
};

inline constexpr const char* head_name = "audit-head.json";

std::string to_json(const Head& head);
/// corrupt/… for any other bytes; unsupported/… for a later version.
Result<Head> parse_head(std::string_view json);
/// The head below `state`; nothing when there is none yet.
Result<std::optional<Head>> read_head(BorrowedFd state);
/// Replaces it, on the disk when this returns.
Result<void> write_head(BorrowedFd state, const Head& head);

/// `audit.3.jsonl`.
std::string file_name(std::uint64_t number);
/// The inverse; nothing for another name.
std::optional<std::uint64_t> file_number(std::string_view name);

}  // namespace orlop::audit
