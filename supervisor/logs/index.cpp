#include "supervisor/logs/index.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace orlop::logs {
namespace {

struct Header {
  std::array<char, 8> magic{'o', 'r', 'l', 'o', 'p', 'i', 'd', 'x'};
  std::uint32_t version = 1;
  std::uint32_t record_bytes = sizeof(Record);
  std::array<std::uint64_t, 2> zero{};
  friend bool operator==(const Header&, const Header&) = default;
};
static_assert(sizeof(Header) == index_header_bytes);

Result<void> write_at(BorrowedFd file, const void* bytes, std::size_t size, std::uint64_t offset) {
  const ssize_t count = ::pwrite(file.get(), bytes, size, static_cast<off_t>(offset));
  if (count == static_cast<ssize_t>(size)) return {};
  // A short write of 32 bytes is a full disk; the next record overwrites what is there.
  return fail_errno(count < 0 ? errno : ENOSPC, "pwrite", "cannot write the index of a log");
}

}  // namespace

bool is_valid(const Record& record) {
  return record.kind >= static_cast<std::uint32_t>(RecordKind::time) &&
         record.kind <= static_cast<std::uint32_t>(RecordKind::next);
}

Result<void> write_index_header(BorrowedFd index) {
  const Header header;
  return write_at(index, &header, sizeof header, 0);
}

Result<void> write_record(BorrowedFd index, std::uint64_t slot, const Record& record) {
  return write_at(index, &record, sizeof record, index_header_bytes + slot * sizeof record);
}

Result<void> IndexCursor::check_header() const {
  Header header;
  const ssize_t count = ::pread(index_.get(), &header, sizeof header, 0);
  if (count < 0) return fail_errno(errno, "pread", "cannot read the index of a log");
  if (count == 0) return {};
  if (count != sizeof header || header != Header{})
    return fail(ErrorKind::corrupt, "the index of a log is torn or of another version");
  return {};
}

Result<std::optional<Record>> IndexCursor::next() {
  if (taken_ == filled_) {
    const std::uint64_t offset = index_header_bytes + slot_ * sizeof(Record);
    const ssize_t count = ::pread(index_.get(), block_.data(), sizeof block_, static_cast<off_t>(offset));
    if (count < 0) return fail_errno(errno, "pread", "cannot read the index of a log");
    filled_ = static_cast<std::size_t>(count) / sizeof(Record);  // a torn last record is none
    taken_ = 0;
  }
  // A record of no kind was never written: forget the block, so that it is read again when it has been.
  if (taken_ == filled_ || !is_valid(block_.at(taken_))) {
    taken_ = filled_ = 0;
    return std::nullopt;
  }
  ++slot_;
  return block_.at(taken_++);
}

}  // namespace orlop::logs
