#include "image/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <tuple>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "image/reference.hpp"
#include "image/staging.hpp"

namespace orlop::image {
namespace {

constexpr std::string_view record_prefix = "sha256-";
constexpr std::string_view record_suffix = ".json";
constexpr std::string_view seal_suffix = ".erofs";
constexpr std::string_view intake_prefix = "intake-";
constexpr std::size_t min_digits = 6;

std::string record_file(const Sha256& manifest) {
  return fmt::format("{}{}{}", record_prefix, hex(manifest), record_suffix);
}

std::string seal_file(const Sha256& seal) {
  return hex(seal) + std::string(seal_suffix);
}

bool is_record_file(std::string_view name) {
  return name.starts_with(record_prefix) && name.ends_with(record_suffix);
}

Result<Record> read_record(BorrowedFd directory, const std::string& name) {
  Result<std::string> text = read_file(directory, name, max_record_bytes);
  if (!text) return pass(std::move(text));
  return from_json(*text);
}

// What a worker left may be a FIFO, a link or a device in the file's place: none of them is followed or waited for.
Result<UniqueFd> open_sealed(BorrowedFd directory, const std::string& name, Bytes size) {
  Result<UniqueFd> file = sys::open_without_links(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) return file;
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return fail_errno(errno, "fstat", fmt::format("cannot look at '{}'", name));
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::corrupt, fmt::format("'{}' is not a regular file", name));
  if (static_cast<std::uint64_t>(status.st_size) != size.count)
    return fail(ErrorKind::corrupt,
                fmt::format("the sealed file has {} bytes where its record says {}", status.st_size, size.count));
  return file;
}

// The digest of all that follows in `file`.
Result<Sha256> digest_of(BorrowedFd file) {
  Sha256Stream hash;
  std::vector<char> buffer(256UL << 10);
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read", "cannot read a sealed image");
    if (got == 0) return hash.finish();
    hash.update({buffer.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace

Result<Store> Store::open(UniqueFd directory) {
  Store store(std::move(directory));
  if (Result<void> cleared = store.clear_leftovers(); !cleared)
    return fail(std::move(cleared), "cannot clear what a killed image import left");
  return store;
}

Result<void> Store::clear_leftovers() {
  Result<std::vector<std::string>> names = list_directory(directory_);
  if (!names) return pass(std::move(names));
  for (const std::string& name : *names)
    if (name.starts_with(intake_prefix) || name.starts_with('.'))  // the latter: a record not yet renamed
      if (Result<void> removed = remove_tree(directory_, name); !removed) return removed;
  return remove_unused_seals();
}

// A record that cannot be read may name any seal: then none is removed.
Result<void> Store::remove_unused_seals() {
  Result<Listing> listing = list();
  if (!listing) return pass(std::move(listing));
  if (!listing->broken.empty()) return {};
  std::set<std::string> used;
  for (const Record& record : listing->images) used.insert(seal_file(record.seal));
  Result<std::vector<std::string>> names = list_directory(directory_);
  if (!names) return pass(std::move(names));
  for (const std::string& name : *names)
    if (name.ends_with(seal_suffix) && !used.contains(name))
      if (Result<void> removed = remove_tree(directory_, name); !removed) return removed;
  return {};
}

Result<Intake> Store::begin(uid_t uid, gid_t gid) {
  Intake intake;
  intake.name = fmt::format("{}{}", intake_prefix, ++next_intake_);
  const std::string doing = fmt::format("cannot make '{}'", intake.name);
  if (::mkdirat(directory_.get(), intake.name.c_str(), 0700) != 0) return fail_errno(errno, "mkdirat", doing);
  Result<UniqueFd> inside = sys::open_without_links(directory_, intake.name, O_RDONLY | O_DIRECTORY);
  if (!inside) return fail(std::move(inside), doing);
  if (::fchown(inside->get(), uid, gid) != 0) return fail_errno(errno, "fchown", doing);
  intake.directory = std::move(*inside);
  return intake;
}

Result<Record> Store::adopt(Intake intake, Replace replace) {
  Result<Record> record = place(intake, replace);
  Result<void> cleared = abandon(std::move(intake));
  if (!record) return fail(std::move(record), "cannot take the sealed image over");
  if (!cleared) return pass(std::move(cleared));
  // Of an earlier seal of the same manifest nothing is needed any more; a mount of it keeps its file.
  if (Result<void> removed = remove_unused_seals(); !removed) return pass(std::move(removed));
  return record;
}

// The record that the worker left, if it is about the manifest that lies beside it and may take its place in the store.
Result<Record> Store::check(const Intake& intake, Replace replace) const {
  Result<Record> record = read_record(intake.directory, std::string(record_name));
  if (!record) return record;
  Result<std::string> manifest = read_file(intake.directory, std::string(manifest_name), max_manifest_bytes);
  if (!manifest) return pass(std::move(manifest));
  if (sha256(*manifest) != record->manifest)
    return fail(ErrorKind::corrupt, "the manifest that was read is not the one that the record names");
  if (replace == Replace::allowed) return record;
  Result<Record> present = find(record->manifest);
  if (!present && present.error().kind == ErrorKind::not_found) return record;
  if (present) present->name = record->name;
  if (present && *present == *record) return record;
  return fail(ErrorKind::conflict,
              fmt::format("the store has image sha256:{} already, with other content than was sealed now",
                          hex(record->manifest)),
              "remove it by `orlop image rm`, then import again; or import it with the --mkdir that it needs");
}

Result<Record> Store::place(const Intake& intake, Replace replace) {
  Result<Record> record = check(intake, replace);
  if (!record) return record;
  Result<UniqueFd> seal = open_sealed(intake.directory, std::string(seal_name), record->seal_size);
  if (!seal) return pass(std::move(seal));
  Result<Sha256> digest = digest_of(*seal);
  if (!digest) return pass(std::move(digest));
  if (*digest != record->seal)
    return fail(ErrorKind::corrupt, "the sealed file has another digest than its record says");
  if (::fchown(seal->get(), 0, 0) != 0 || ::fchmod(seal->get(), 0400) != 0)
    return fail_errno(errno, "fchown", "cannot make the sealed file orlop's own");
  if (::fsync(seal->get()) != 0) return fail_errno(errno, "fsync", "cannot sync the sealed file");
  // The seal first: a seal without a record is a leftover, a record without a seal would be a lie. The write of the
  // record syncs the directory, and with it both names. A seal that is there has the same bytes and may be mounted.
  if (::renameat2(intake.directory.get(), std::string(seal_name).c_str(), directory_.get(),
                  seal_file(record->seal).c_str(), RENAME_NOREPLACE) != 0 &&
      errno != EEXIST)
    return fail_errno(errno, "renameat2", "cannot move the sealed file");
  if (::fsync(directory_.get()) != 0) return fail_errno(errno, "fsync", "cannot sync the image store");
  if (Result<void> written =
          replace_file(directory_, record_file(record->manifest), to_json(*record), Durability::power_loss, 0400);
      !written)
    return pass(std::move(written));
  return record;
}

Result<void> Store::abandon(Intake intake) {
  intake.directory.reset();
  return remove_tree(directory_, intake.name);
}

Result<Listing> Store::list() const {
  Result<std::vector<std::string>> names = list_directory(directory_);
  if (!names) return fail(std::move(names), "cannot list the image store");
  Listing listing;
  for (const std::string& name : *names) {
    if (!is_record_file(name)) continue;
    Result<Record> record = read_record(directory_, name);
    if (record && record_file(record->manifest) != name)
      record = fail(ErrorKind::corrupt, "it is the record of another image");
    if (record)
      listing.images.push_back(std::move(*record));
    else
      listing.broken.push_back(fail(std::move(record), fmt::format("image record '{}'", name)).error());
  }
  std::ranges::sort(listing.images, {}, [](const Record& r) { return std::tie(r.name, r.manifest); });
  return listing;
}

Result<Record> Store::find(const Sha256& digest) const {
  Result<Record> record = read_record(directory_, record_file(digest));
  if (!record && record.error().errno_value == ENOENT)
    return fail(ErrorKind::not_found, fmt::format("there is no image sha256:{}", hex(digest)),
                "take it in by `orlop image import PATH`");
  if (!record) return fail(std::move(record), fmt::format("image record '{}'", record_file(digest)));
  if (record->manifest != digest)
    return fail(ErrorKind::corrupt, fmt::format("image record '{}' is that of another image", record_file(digest)));
  return record;
}

Result<Record> Store::find(std::string_view written) const {
  if (written.contains('@')) {
    const Result<Reference> reference = parse_reference(written);
    if (!reference) return std::unexpected(reference.error());
    return find(reference->manifest);
  }
  Result<Listing> listing = list();
  if (!listing) return pass(std::move(listing));
  constexpr std::string_view algorithm = "sha256:";
  const std::string_view digits = written.starts_with(algorithm) ? written.substr(algorithm.size()) : written;
  std::vector<Record> found;
  for (Record& record : listing->images)
    if (record.name == written || (digits.size() >= min_digits && hex(record.manifest).starts_with(digits)))
      found.push_back(std::move(record));
  if (found.size() == 1) return std::move(found.front());
  if (found.empty())
    return fail(ErrorKind::not_found, fmt::format("there is no image '{}'", written),
                "`orlop image ls` shows the images there are");
  std::vector<std::string> names;
  for (const Record& record : found) names.push_back(text(Reference{record.name, record.manifest}));
  return fail(ErrorKind::conflict,
              fmt::format("'{}' names {} images: {}", written, found.size(), fmt::join(names, ", ")),
              "name one by its digest");
}

Result<UniqueFd> Store::open_seal(const Record& record) const {
  Result<UniqueFd> file = open_sealed(directory_, seal_file(record.seal), record.seal_size);
  if (!file) return fail(std::move(file), fmt::format("image '{}'", text(Reference{record.name, record.manifest})));
  return file;
}

Result<void> Store::verify(const Record& record) const {
  Result<UniqueFd> file = open_seal(record);
  if (!file) return pass(std::move(file));
  Result<Sha256> digest = digest_of(*file);
  if (!digest) return pass(std::move(digest));
  if (*digest != record.seal)
    return fail(ErrorKind::corrupt,
                fmt::format("the sealed file of '{}' is no longer what was sealed",
                            text(Reference{record.name, record.manifest})),
                "remove the image and import it again");
  return {};
}

Result<void> Store::remove(const Sha256& digest) {
  if (Result<Record> record = find(digest); !record && record.error().kind == ErrorKind::not_found)
    return pass(std::move(record));
  if (Result<void> removed = remove_tree(directory_, record_file(digest)); !removed) return removed;
  if (::fsync(directory_.get()) != 0) return fail_errno(errno, "fsync", "cannot sync the image store");
  return remove_unused_seals();
}

}  // namespace orlop::image
