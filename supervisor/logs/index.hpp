// The index beside a log file: when its bytes came, where bytes are missing, which run of the container wrote them.
//
// Format: a header of 32 bytes, then records of 32 bytes in host byte order (the file never leaves the machine). A
// record never crosses a page, so a kill leaves it whole or absent; what a power cut leaves torn or zero is no record
// (kind 0) and the next record takes its place.
//
// Invariant that makes a kill harmless: a record that describes bytes stands in the index before those bytes stand in
// the log. A mark without its bytes says nothing and is superseded by the next mark at the same offset.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/time.hpp"

namespace orlop::logs {

enum class RecordKind : std::uint32_t {
  time = 1,       ///< bytes from `offset` on came at `wall_ns` or up to 10 ms later
  gap = 2,        ///< `value` bytes are missing at `offset`
  run_start = 3,  ///< bytes from `offset` on belong to the run with start number `value`
  run_end = 4,    ///< the run with start number `value` has ended; its last byte is before `offset`
  next = 5,       ///< the stream goes on in generation `value`; no byte follows, a last gap may
};

struct Record {
  std::uint64_t offset = 0;
  std::int64_t wall_ns = 0;
  std::uint64_t value = 0;
  std::uint32_t kind = 0;          ///< RecordKind; another number is not a record
  std::uint32_t drop_counter = 0;  ///< bytes of the stream's `.dropped` file that gap records account for so far

  friend bool operator==(const Record&, const Record&) = default;
};
static_assert(sizeof(Record) == 32);

inline constexpr std::size_t index_header_bytes = sizeof(Record);

/// Whether `record` has one of the kinds above.
bool is_valid(const Record& record);
/// Writes the header of a new, empty index.
Result<void> write_index_header(BorrowedFd index);
/// Writes `record` at `slot` (0 is the first).
Result<void> write_record(BorrowedFd index, std::uint64_t slot, const Record& record);

/// Reads an index from its first record to the last that is there, block by block, and again what came since.
class IndexCursor {
 public:
  /// Does not own `index`.
  explicit IndexCursor(BorrowedFd index) : index_(index) {}
  /// corrupt/… when the header is not that of this version; an empty file is an index without records.
  [[nodiscard]] Result<void> check_header() const;
  /// The next record, or nothing while there is none.
  Result<std::optional<Record>> next();
  /// Number of records that next() has given: the slot where the next one goes.
  [[nodiscard]] std::uint64_t slot() const { return slot_; }

 private:
  BorrowedFd index_;
  std::uint64_t slot_ = 0;
  std::array<Record, 128> block_{};
  std::size_t filled_ = 0;
  std::size_t taken_ = 0;
};

}  // namespace orlop::logs
