// Writes OCI layouts and tar archives for tests, good and hostile ones: every byte of a header is the test's to choose,
// which no archiver would let it.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "image/json.hpp"
#include "image/worker/manifest.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop::image {

/// One entry of a tar archive (POSIX ustar, with a pax header before it if `pax` has records).
struct TarEntry {
  std::string name;
  char type = '0';  ///< '0' file, '1' hardlink, '2' symlink, '3' character device, '5' directory, '6' FIFO
  std::string content = {};
  unsigned mode = 0644;
  unsigned uid = 0;
  unsigned gid = 0;
  std::string link = {};
  std::map<std::string, std::string> pax = {};
  std::uint64_t mtime = 1'000'000'000;
};

inline std::string tar_block(const TarEntry& entry) {
  const auto put = [](std::string& block, std::size_t at, std::string_view bytes) {
    block.replace(at, bytes.size(), bytes);
  };
  std::string block(512, '\0');
  put(block, 0, std::string_view(entry.name).substr(0, 100));
  put(block, 100, fmt::format("{:07o}", entry.mode));
  put(block, 108, fmt::format("{:07o}", entry.uid));
  put(block, 116, fmt::format("{:07o}", entry.gid));
  put(block, 124, fmt::format("{:011o}", entry.content.size()));
  put(block, 136, fmt::format("{:011o}", entry.mtime));
  put(block, 148, "        ");
  block[156] = entry.type;
  put(block, 157, std::string_view(entry.link).substr(0, 100));
  put(block, 257, std::string_view("ustar\00000", 8));
  put(block, 329, "0000001");  // major and minor of a device: nothing orlop would make
  put(block, 337, "0000003");
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(block, 148, std::string_view(fmt::format("{:06o}", sum) + std::string(1, '\0')));
  block += entry.content;
  block.resize((block.size() + 511) / 512 * 512, '\0');
  return block;
}

inline std::string tar(const std::vector<TarEntry>& entries) {
  std::string archive;
  for (const TarEntry& entry : entries) {
    if (!entry.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : entry.pax) {
        std::size_t length = key.size() + value.size() + 3;
        while (fmt::format("{}", length).size() + key.size() + value.size() + 3 != length) ++length;
        records += fmt::format("{} {}={}\n", length, key, value);
      }
      archive += tar_block({.name = "pax", .type = 'x', .content = records});
    }
    archive += tar_block(entry);
  }
  return archive + std::string(1024, '\0');
}

inline std::string packed(std::string_view bytes, Packing packing) {
  if (packing == Packing::none) return std::string(bytes);
  std::string result;
  archive* a = archive_write_new();
  archive_write_set_format_raw(a);
  if (packing == Packing::gzip)
    archive_write_add_filter_gzip(a);
  else
    archive_write_add_filter_zstd(a);
  archive_write_set_bytes_in_last_block(a, 1);
  archive_write_open(
      a, &result, nullptr,
      [](archive*, void* to, const void* data, std::size_t size) {
        static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, "data");
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(a, entry);
  archive_write_data(a, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(a);
  archive_write_free(a);
  return result;
}

/// An OCI layout in a directory of its own. Change the public members before write().
class Layout {
 public:
  Layout() {
    put("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    if (::mkdirat(directory_.fd().get(), "blobs", 0755) != 0 ||
        ::mkdirat(directory_.fd().get(), "blobs/sha256", 0755) != 0)
      throw std::bad_alloc();
  }

  Json config = {{"architecture", architecture()},
                 {"os", "linux"},
                 {"config", Json::object()},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
  Json layers = Json::array();

  void put(const std::string& name, std::string_view bytes) {
    Result<UniqueFd> file = sys::open_beneath(directory_.fd(), name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!file || !write_all(*file, bytes)) throw std::bad_alloc();
  }
  static std::string blob_name(const Sha256& digest) { return "blobs/sha256/" + hex(digest); }
  /// Stores a blob; returns its descriptor.
  Json blob(std::string_view bytes, std::string_view media_type) {
    const Sha256 digest = sha256(bytes);
    put(blob_name(digest), bytes);
    return {{"mediaType", media_type}, {"digest", "sha256:" + hex(digest)}, {"size", bytes.size()}};
  }
  void layer(const std::string& archive, Packing packing = Packing::gzip) {
    const std::string suffix = packing == Packing::none ? "" : packing == Packing::gzip ? "+gzip" : "+zstd";
    layers.push_back(blob(packed(archive, packing), "application/vnd.oci.image.layer.v1.tar" + suffix));
    config["rootfs"]["diff_ids"].push_back("sha256:" + hex(sha256(archive)));
  }
  void layer(const std::vector<TarEntry>& entries, Packing packing = Packing::gzip) { layer(tar(entries), packing); }
  Json manifest() {
    return {{"schemaVersion", 2},
            {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
            {"config", blob(print_json(config), "application/vnd.oci.image.config.v1+json")},
            {"layers", layers}};
  }
  /// Stores config and manifest, and the index that names them.
  void write(const std::string& reference = "test") {
    Json descriptor = blob(print_json(manifest()), "application/vnd.oci.image.manifest.v1+json");
    descriptor["annotations"] = {{"org.opencontainers.image.ref.name", reference}};
    index({descriptor});
  }
  void index(const std::vector<Json>& manifests) {
    put("index.json", print_json({{"schemaVersion", 2}, {"manifests", manifests}}));
  }

  [[nodiscard]] const std::string& path() const { return directory_.path(); }
  [[nodiscard]] BorrowedFd fd() const { return directory_.fd(); }
  [[nodiscard]] UniqueFd open() const { return sys::open(path(), O_RDONLY | O_DIRECTORY).value(); }
  [[nodiscard]] Source source() const { return Source::directory(open()); }

 private:
  TemporaryDirectory directory_;
};

}  // namespace orlop::image
