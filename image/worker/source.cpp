#include "image/worker/source.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/sys.hpp"
#include "image/path.hpp"
#include "image/worker/archive.hpp"

namespace orlop::image {
namespace {

constexpr std::size_t max_members = 10'000;
constexpr std::size_t buffer_bytes = 128UL << 10;

// The size of a regular file. A device or FIFO in its place would not end.
Result<std::uint64_t> regular_size(BorrowedFd fd, std::string_view what) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "fstat", fmt::format("cannot look at {}", what));
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::corrupt, fmt::format("{} is not a regular file", what));
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> read_at(BorrowedFd fd, std::vector<char>& buffer, std::uint64_t count, std::uint64_t offset) {
  for (;;) {
    const ssize_t got =
        ::pread(fd.get(), buffer.data(), std::min<std::uint64_t>(buffer.size(), count), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail_errno(errno, "pread", "cannot read");
  }
}

std::string member_of(const BlobId& id) {
  return "blobs/sha256/" + hex(id.digest);
}

}  // namespace

Source Source::directory(UniqueFd fd) {
  Source source;
  source.fd_ = std::move(fd);
  return source;
}

Result<Source> Source::archive(UniqueFd fd) {
  Source source;
  source.archive_ = true;
  Result<std::uint64_t> size = regular_size(fd, "the archive");
  if (!size) return fail(std::move(size), "cannot read the image archive");
  std::vector<char> buffer(buffer_bytes);
  // libarchive sees the headers only: after each one it is told where the next stands, so that no blob is read here.
  std::uint64_t at = 0;
  std::size_t members = 0;
  while (at < *size) {
    const std::uint64_t header = at;
    std::uint64_t read = header;
    Result<Archive> one = Archive::open(Archive::Shape::tar, [&]() -> Result<std::string_view> {
      Result<std::size_t> got = read_at(fd, buffer, 512, read);
      if (!got) return pass(std::move(got));
      read += *got;
      return std::string_view(buffer.data(), *got);
    });
    if (!one) return fail(std::move(one), "cannot read the image archive");
    Result<archive_entry*> entry = one->next_header();
    if (!entry) return fail(std::move(entry), fmt::format("the image is no tar archive, at byte {}", header));
    if (*entry == nullptr) break;
    if (++members > max_members)
      return fail(ErrorKind::limit, fmt::format("the image archive has over {} entries", max_members));
    const auto length = static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(*entry), 0));
    if (length > *size - std::min(*size, read)) return fail(ErrorKind::corrupt, "the image archive is truncated");
    const char* written = archive_entry_pathname(*entry);
    std::string name;
    for (const std::string_view part : components(written != nullptr ? written : ""))
      name.append(name.empty() ? "" : "/").append(part);
    if (archive_entry_sparse_count(*entry) > 0)
      return fail(ErrorKind::corrupt, fmt::format("'{}' in the image archive is sparse", printable(name)));
    if (archive_entry_filetype(*entry) == AE_IFREG && archive_entry_hardlink(*entry) == nullptr &&
        !source.runs_.emplace(name, Run{.offset = read, .size = length}).second)
      return fail(ErrorKind::corrupt, fmt::format("'{}' stands twice in the image archive", printable(name)));
    at = read + (length + 511) / 512 * 512;
  }
  source.fd_ = std::move(fd);
  return source;
}

Result<Extent> Source::open(const std::string& name) const {
  if (archive_) {
    const auto run = runs_.find(name);
    if (run == runs_.end()) return fail(ErrorKind::not_found, fmt::format("'{}' is missing from the archive", name));
    Result<UniqueFd> file = sys::duplicate(fd_);
    if (!file) return pass(std::move(file));
    return Extent{.file = std::move(*file), .offset = run->second.offset, .size = run->second.size};
  }
  // Not blocking: a FIFO in the place of a blob is refused below, not waited for.
  Result<UniqueFd> file = sys::open_without_links(fd_, name, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!file && file.error().errno_value == ENOENT)
    return fail(ErrorKind::not_found, fmt::format("'{}' is missing from the layout", name));
  if (!file) return pass(std::move(file));
  Result<std::uint64_t> size = regular_size(*file, fmt::format("'{}'", name));
  if (!size) return pass(std::move(size));
  return Extent{.file = std::move(*file), .offset = 0, .size = *size};
}

BlobReader::BlobReader(Extent extent, const BlobId& id) : extent_(std::move(extent)), id_(id), buffer_(buffer_bytes) {}

Result<BlobReader> BlobReader::open(const Source& source, const BlobId& id) {
  Result<Extent> extent = source.open(member_of(id));
  if (!extent && extent.error().kind == ErrorKind::not_found)
    return fail(ErrorKind::corrupt, fmt::format("blob sha256:{} is missing", hex(id.digest)),
                "copy the image again; this copy is not whole");
  if (!extent) return pass(std::move(extent));
  if (extent->size != id.size)
    return fail(ErrorKind::corrupt, fmt::format("blob sha256:{} has {} bytes where {} are declared", hex(id.digest),
                                                extent->size, id.size));
  return BlobReader(std::move(*extent), id);
}

Result<std::string_view> BlobReader::next() {
  if (position_ < id_.size) {
    Result<std::size_t> got = read_at(extent_.file, buffer_, id_.size - position_, extent_.offset + position_);
    if (!got) return fail(std::move(got), fmt::format("blob sha256:{}", hex(id_.digest)));
    if (*got == 0) return fail(ErrorKind::corrupt, fmt::format("blob sha256:{} was cut while read", hex(id_.digest)));
    const std::string_view bytes(buffer_.data(), *got);
    hash_.update(bytes);
    position_ += bytes.size();
    return bytes;
  }
  if (const Sha256 digest = hash_.finish(); digest != id_.digest)
    return fail(ErrorKind::corrupt, fmt::format("blob sha256:{} is not what its name says: its bytes have sha256:{}",
                                                hex(id_.digest), hex(digest)));
  return std::string_view();
}

Result<std::string> read_blob(const Source& source, const BlobId& id, Bytes max) {
  if (id.size > max.count)
    return fail(ErrorKind::limit,
                fmt::format("blob sha256:{} has {} bytes; at most {} are read", hex(id.digest), id.size, max.count));
  Result<BlobReader> reader = BlobReader::open(source, id);
  if (!reader) return pass(std::move(reader));
  std::string bytes;
  for (;;) {
    Result<std::string_view> more = reader->next();
    if (!more) return pass(std::move(more));
    if (more->empty()) return bytes;
    bytes.append(*more);
  }
}

Result<std::string> read_member(const Source& source, const std::string& name, Bytes max) {
  Result<Extent> extent = source.open(name);
  if (!extent) return pass(std::move(extent));
  if (extent->size > max.count) return fail(ErrorKind::limit, fmt::format("'{}' has over {} bytes", name, max.count));
  std::vector<char> buffer(extent->size);
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::pread(extent->file.get(), buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(extent->offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "pread", fmt::format("cannot read '{}'", name));
    if (got == 0) return fail(ErrorKind::corrupt, fmt::format("'{}' was cut while read", name));
    done += static_cast<std::size_t>(got);
  }
  return std::string(buffer.begin(), buffer.end());
}

}  // namespace orlop::image
