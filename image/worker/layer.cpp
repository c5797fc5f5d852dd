#include "image/worker/layer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "image/path.hpp"

namespace orlop::image {
namespace {

constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_name = ".wh..wh..opq";
constexpr std::string_view bookkeeping_prefix = ".wh..wh.";

// The archive inside a layer's blob: unpacked, counted and hashed as it is pulled.
class LayerStream {
 public:
  static Result<LayerStream> open(const Source& source, const Layer& layer, Budget& budget, const Limits& limits) {
    Result<BlobReader> blob = BlobReader::open(source, layer.blob);
    if (!blob) return pass(std::move(blob));
    LayerStream stream(std::make_unique<BlobReader>(std::move(*blob)), layer, budget, limits);
    if (layer.packing == Packing::none) return stream;
    Result<Archive> unpacked =
        Archive::open(layer.packing == Packing::gzip ? Archive::Shape::gzip : Archive::Shape::zstd,
                      [reader = stream.blob_.get()] { return reader->next(); });
    if (!unpacked) return pass(std::move(unpacked));
    Result<archive_entry*> only = unpacked->next_header();
    if (!only) return pass(std::move(only));
    stream.unpacked_ = std::make_unique<Archive>(std::move(*unpacked));
    return stream;
  }

  Result<std::string_view> next() {
    Result<std::string_view> bytes = unpack();
    if (!bytes) return bytes;
    if (bytes->size() > budget_->unpacked_bytes)
      return fail(ErrorKind::limit, fmt::format("the image unpacks to more than {}", format_bytes(limits_->unpacked)));
    budget_->unpacked_bytes -= bytes->size();
    unpacked_bytes_ += bytes->size();
    if (unpacked_bytes_ > limits_->ratio_from.count && unpacked_bytes_ / limits_->ratio > packed_bytes_)
      return fail(ErrorKind::limit, fmt::format("it unpacks to more than {} times its size", limits_->ratio));
    hash_.update(*bytes);
    return bytes;
  }

  // Reads what the archive's reader left, and checks what the whole must be.
  Result<void> finish(const Sha256& diff_id) {
    for (;;) {
      Result<std::string_view> bytes = next();
      if (!bytes) return pass(std::move(bytes));
      if (bytes->empty()) break;
    }
    for (;;) {  // bytes behind the packed stream
      Result<std::string_view> bytes = blob_->next();
      if (!bytes) return pass(std::move(bytes));
      if (bytes->empty()) break;
    }
    if (const Sha256 digest = hash_.finish(); digest != diff_id)
      return fail(ErrorKind::corrupt,
                  fmt::format("its unpacked bytes have sha256:{}, the config's diff_ids say sha256:{}", hex(digest),
                              hex(diff_id)));
    return {};
  }

 private:
  LayerStream(std::unique_ptr<BlobReader> blob, const Layer& layer, Budget& budget, const Limits& limits)
      : blob_(std::move(blob)), budget_(&budget), limits_(&limits), packed_bytes_(layer.blob.size) {}

  Result<std::string_view> unpack() {
    if (!unpacked_) return blob_->next();
    Result<Archive::Block> block = unpacked_->next_block();
    if (!block) return pass(std::move(block));
    return block->bytes;
  }

  std::unique_ptr<BlobReader> blob_;
  std::unique_ptr<Archive> unpacked_;  // borrows blob_
  Budget* budget_;
  const Limits* limits_;
  std::uint64_t packed_bytes_;
  std::uint64_t unpacked_bytes_ = 0;
  Sha256Stream hash_;
};

Result<EntryType> type_of(archive_entry* entry) {
  if (archive_entry_hardlink(entry) != nullptr) return EntryType::hardlink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return EntryType::regular;
    case AE_IFDIR:
      return EntryType::directory;
    case AE_IFLNK:
      return EntryType::symlink;
    case AE_IFIFO:
      return EntryType::fifo;
    case AE_IFCHR:
    case AE_IFBLK:
      return EntryType::device;
    case AE_IFSOCK:
      return EntryType::socket;
    default:
      return fail(ErrorKind::corrupt, "it is of no type that orlop knows");
  }
}

Result<Entry> read_entry(archive_entry* from, const std::string& path) {
  Entry entry;
  entry.path = path;
  Result<EntryType> type = type_of(from);
  if (!type) return pass(std::move(type));
  entry.type = *type;
  entry.mode = archive_entry_perm(from) & 07777U;
  // A negative id becomes a huge one, and is refused as such.
  entry.uid = static_cast<std::uint64_t>(archive_entry_uid(from));
  entry.gid = static_cast<std::uint64_t>(archive_entry_gid(from));
  entry.mtime = archive_entry_mtime(from);
  entry.size = static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(from), 0));
  if (entry.type == EntryType::symlink) {
    const char* text = archive_entry_symlink(from);
    entry.link = text != nullptr ? text : "";
  }
  if (entry.type == EntryType::hardlink) {
    Result<EntryName> target = parse_entry_name(archive_entry_hardlink(from));
    if (!target) return fail(std::move(target), "its target");
    if (target->kind != EntryName::Kind::plain || target->path.empty())
      return fail(ErrorKind::corrupt, "its target is not a file");
    entry.link = std::move(target->path);
  }
  (void)archive_entry_xattr_reset(from);  // the count, which nobody needs
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK)
    if (name != nullptr) entry.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
  return entry;
}

Result<void> write_at(BorrowedFd file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "pwrite", "cannot write its content");
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> write_content(Archive& archive, BorrowedFd file, std::uint64_t size) {
  for (;;) {
    Result<Archive::Block> block = archive.next_block();
    if (!block) return pass(std::move(block));
    if (block->bytes.empty()) return {};
    if (block->offset > size || block->bytes.size() > size - block->offset)
      return fail(ErrorKind::corrupt, "its content is longer than its header says");
    if (Result<void> written = write_at(file, block->bytes, block->offset); !written) return written;
  }
}

Result<void> apply_entry(Archive& archive, archive_entry* from, const EntryName& name, Tree& tree, Budget& budget) {
  switch (name.kind) {
    case EntryName::Kind::ignored:
      return {};
    case EntryName::Kind::whiteout:
      return tree.whiteout(name.path);
    case EntryName::Kind::opaque:
      return tree.opaque(name.path);
    case EntryName::Kind::plain:
      break;
  }
  Result<Entry> entry = read_entry(from, name.path);
  if (!entry) return pass(std::move(entry));
  if (entry->type == EntryType::regular && archive_entry_sparse_count(from) > 0) {
    // Holes are no bytes of the archive, and yet bytes of the sealed image.
    if (entry->size > budget.unpacked_bytes) return fail(ErrorKind::limit, "with its holes the image is too large");
    budget.unpacked_bytes -= entry->size;
  }
  Result<std::optional<UniqueFd>> file = tree.put(*entry);
  if (!file) return pass(std::move(file));
  if (!*file) return {};
  if (Result<void> written = write_content(archive, **file, entry->size); !written) return written;
  return tree.finish_file(**file, *entry);
}

}  // namespace

Result<EntryName> parse_entry_name(std::string_view written) {
  if (written.empty()) return fail(ErrorKind::corrupt, "its name is empty");
  if (written.starts_with('/')) return fail(ErrorKind::corrupt, "its name is absolute");
  if (written.contains('\0')) return fail(ErrorKind::corrupt, "its name holds NUL");
  const std::vector<std::string_view> parts = components(written);
  EntryName name;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::string_view part = parts[i];
    const bool last = i + 1 == parts.size();
    if (part == "..") return fail(ErrorKind::corrupt, "its name holds '..'");
    if (part.size() > 255) return fail(ErrorKind::limit, "a component of its name has over 255 bytes");
    if (part.starts_with(whiteout_prefix)) {
      if (part == opaque_name && last) {
        name.kind = EntryName::Kind::opaque;
        return name;
      }
      if (part.starts_with(bookkeeping_prefix)) return EntryName{.kind = EntryName::Kind::ignored, .path = {}};
      part.remove_prefix(whiteout_prefix.size());
      if (!last) return fail(ErrorKind::corrupt, "its name has a whiteout in the middle");
      if (part.empty() || part == "." || part == "..") return fail(ErrorKind::corrupt, "it is a whiteout of no entry");
      name.kind = EntryName::Kind::whiteout;
    }
    name.path.append(name.path.empty() ? "" : "/").append(part);
  }
  if (name.path.size() > max_path_bytes)
    return fail(ErrorKind::limit, fmt::format("its name has over {} bytes", max_path_bytes));
  if (parts.size() > max_path_depth)
    return fail(ErrorKind::limit, fmt::format("its name is deeper than {} directories", max_path_depth));
  return name;
}

Result<void> apply_archive(Pull tar, Tree& tree, Budget& budget) {
  Result<Archive> archive = Archive::open(Archive::Shape::tar, std::move(tar));
  if (!archive) return pass(std::move(archive));
  std::string previous;
  for (;;) {
    Result<archive_entry*> entry = archive->next_header();
    if (!entry && previous.empty()) return fail(std::move(entry), "at its first entry");
    if (!entry) return fail(std::move(entry), fmt::format("after the entry '{}'", previous));
    if (*entry == nullptr) return {};
    const char* written = archive_entry_pathname(*entry);
    const std::string shown = printable(std::string_view(written != nullptr ? written : "").substr(0, 300));
    if (budget.entries == 0) return fail(ErrorKind::limit, fmt::format("entry '{}': one entry too many", shown));
    --budget.entries;
    Result<EntryName> name = parse_entry_name(written != nullptr ? written : "");
    if (!name) return fail(std::move(name), fmt::format("entry '{}'", shown));
    if (Result<void> applied = apply_entry(*archive, *entry, *name, tree, budget); !applied)
      return fail(std::move(applied), fmt::format("entry '{}'", shown));
    previous = shown;
  }
}

Result<void> apply_layer(const Source& source, const Layer& layer, const Sha256& diff_id, Tree& tree, Budget& budget,
                         const Limits& limits) {
  Result<LayerStream> stream = LayerStream::open(source, layer, budget, limits);
  if (!stream) return pass(std::move(stream));
  if (Result<void> applied = apply_archive([&] { return stream->next(); }, tree, budget); !applied) return applied;
  return stream->finish(diff_id);
}

}  // namespace orlop::image
