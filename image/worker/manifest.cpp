#include "image/worker/manifest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <deque>
#include <ranges>

#include "image/json.hpp"
#include "image/path.hpp"

namespace orlop::image {
namespace {

constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view docker_index = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::array config_types = {std::string_view("application/vnd.oci.image.config.v1+json"),
                                     std::string_view("application/vnd.docker.container.image.v1+json")};
constexpr std::size_t max_index_entries = 1000;
constexpr std::uint64_t max_blob_bytes = 1ULL << 40;

struct LayerType {
  std::string_view media_type;
  Packing packing;
};
constexpr std::array layer_types = {
    LayerType{"application/vnd.oci.image.layer.v1.tar", Packing::none},
    LayerType{"application/vnd.oci.image.layer.v1.tar+gzip", Packing::gzip},
    LayerType{"application/vnd.oci.image.layer.v1.tar+zstd", Packing::zstd},
    LayerType{"application/vnd.docker.image.rootfs.diff.tar", Packing::none},
    LayerType{"application/vnd.docker.image.rootfs.diff.tar.gzip", Packing::gzip},
    LayerType{"application/vnd.docker.image.rootfs.diff.tar.zstd", Packing::zstd},
};

struct Descriptor {
  std::string media_type;
  BlobId blob;
};

Descriptor read_descriptor(Fields& fields) {
  Descriptor descriptor;
  descriptor.media_type = fields.text("mediaType");
  if (descriptor.media_type.empty()) fields.refuse("mediaType", "is missing");
  const std::string digest = fields.text("digest");
  constexpr std::string_view algorithm = "sha256:";
  const Result<Sha256> value = parse_hex(digest.starts_with(algorithm) ? digest.substr(algorithm.size()) : "");
  if (value)
    descriptor.blob.digest = *value;
  else
    fields.refuse("digest", "is not sha256: and 64 lower-case hexadecimal digits");
  if (!fields.has("size")) fields.refuse("size", "is missing");
  descriptor.blob.size = fields.number("size", max_blob_bytes);
  if (fields.has("urls")) fields.refuse("urls", "points outside of the layout");
  return descriptor;
}

// A document's own words about what it is: of version 2, one of `types` if it names a type, and nothing of `foreign`.
void check_kind(Fields& fields, const std::array<std::string_view, 2>& types, const char* foreign) {
  if (fields.number("schemaVersion", 99) != 2) fields.refuse("schemaVersion", "is not 2");
  if (fields.has("mediaType") && std::ranges::find(types, fields.text("mediaType")) == types.end())
    fields.refuse("mediaType", "is not that of this kind of document: it is ambiguous");
  if (fields.has(foreign)) fields.refuse(foreign, "belongs to another kind of document: it is ambiguous");
}

bool is_other_platform(const Json& platform) {
  Fields fields(platform, "platform", Fields::Absent::allowed);
  const std::string os = fields.text("os");
  const std::string machine = fields.text("architecture");
  const std::string variant = fields.text("variant");
  const bool variant_runs = variant.empty() || (machine == "amd64" && variant == "v1") || machine == "arm64";
  return os != "linux" || machine != architecture() || !variant_runs;
}

Result<IndexEntry> read_index_entry(const Json& json, bool& is_image) {
  Fields fields(json, "an entry of 'manifests'", Fields::Absent::allowed);
  const Descriptor descriptor = read_descriptor(fields);
  IndexEntry entry{.blob = descriptor.blob, .index = {}, .reference_name = {}, .other_platform = {}};
  entry.index = descriptor.media_type == oci_index || descriptor.media_type == docker_index;
  is_image = entry.index || descriptor.media_type == oci_manifest || descriptor.media_type == docker_manifest;
  if (const Json* platform = fields.object("platform"); platform != nullptr && !entry.index)
    entry.other_platform = is_other_platform(*platform);
  if (const Json* annotations = fields.object("annotations"); annotations != nullptr) {
    Fields inner(*annotations, "annotations", Fields::Absent::allowed);
    entry.reference_name = inner.text("org.opencontainers.image.ref.name");
    if (const Result<void> good = inner.done(); !good) fields.refuse("annotations", sentence(good.error()));
  }
  if (Result<void> good = fields.done(); !good) return pass(std::move(good));
  return entry;
}

std::string describe(const IndexEntry& entry) {
  const std::string digest = "sha256:" + hex(entry.blob.digest);
  return entry.reference_name.empty() ? digest : fmt::format("{} ({})", printable(entry.reference_name), digest);
}

bool is_meant(const IndexEntry& entry, const std::string& reference) {
  return entry.reference_name == reference || "sha256:" + hex(entry.blob.digest) == reference;
}

// An index still to be read, and what is known of the images in it.
struct Pending {
  IndexEntry entry;
  int depth = 0;
  bool meant = false;
};

}  // namespace

std::string_view architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#else
#error "name this architecture as OCI image indexes do (GOARCH)"
#endif
}

Result<std::vector<IndexEntry>> parse_index(std::string_view text) {
  Result<Json> json = parse_json(text);
  if (!json) return pass(std::move(json));
  Fields fields(*json, "index", Fields::Absent::allowed);
  check_kind(fields, {oci_index, docker_index}, "layers");
  if (fields.has("config")) fields.refuse("config", "belongs to a manifest: the document is ambiguous");
  if (!fields.has("manifests")) fields.refuse("manifests", "is missing");
  const Json* entries = fields.array("manifests");
  if (Result<void> good = fields.done(); !good) return pass(std::move(good));
  if (entries->size() > max_index_entries)
    return fail(ErrorKind::limit, fmt::format("index: 'manifests' has over {} entries", max_index_entries));
  std::vector<IndexEntry> images;
  for (const Json& each : *entries) {
    bool is_image = false;
    Result<IndexEntry> entry = read_index_entry(each, is_image);
    if (!entry) return pass(std::move(entry));
    if (is_image) images.push_back(std::move(*entry));
  }
  return images;
}

Result<Manifest> parse_manifest(std::string_view text, std::size_t max_layers) {
  Result<Json> json = parse_json(text);
  if (!json) return pass(std::move(json));
  Fields fields(*json, "manifest", Fields::Absent::allowed);
  check_kind(fields, {oci_manifest, docker_manifest}, "manifests");
  for (const char* needed : {"config", "layers"})
    if (!fields.has(needed)) fields.refuse(needed, "is missing");
  const Json* config = fields.object("config");
  const Json* layers = fields.array("layers");
  if (Result<void> good = fields.done(); !good) return pass(std::move(good));
  if (layers->size() > max_layers)
    return fail(ErrorKind::limit, fmt::format("manifest: {} layers; at most {} are read", layers->size(), max_layers));

  Manifest manifest;
  Fields config_fields(*config, "config of the manifest", Fields::Absent::allowed);
  const Descriptor config_descriptor = read_descriptor(config_fields);
  if (std::ranges::find(config_types, config_descriptor.media_type) == config_types.end())
    config_fields.refuse("mediaType", "is not that of a container image: this is something else kept in a registry");
  if (Result<void> good = config_fields.done(); !good) return pass(std::move(good));
  manifest.config = config_descriptor.blob;
  for (const Json& each : *layers) {
    Fields layer_fields(each, fmt::format("layer {} of the manifest", manifest.layers.size() + 1),
                        Fields::Absent::allowed);
    const Descriptor descriptor = read_descriptor(layer_fields);
    const auto type = std::ranges::find(layer_types, descriptor.media_type, &LayerType::media_type);
    if (type == layer_types.end()) layer_fields.refuse("mediaType", "is not a layer that orlop reads");
    if (Result<void> good = layer_fields.done(); !good) return pass(std::move(good));
    manifest.layers.push_back({.blob = descriptor.blob, .packing = type->packing});
  }
  return manifest;
}

Result<Chosen> choose_image(const Source& source, const std::optional<std::string>& reference, const Limits& limits) {
  std::vector<IndexEntry> candidates;
  std::deque<Pending> pending{{.entry = {}, .depth = 0, .meant = !reference}};
  for (int documents = 0; !pending.empty(); ++documents) {
    const Pending index = std::move(pending.front());
    pending.pop_front();
    if (documents >= limits.documents)
      return fail(ErrorKind::limit, fmt::format("the layout has over {} indexes", limits.documents));
    const std::string what =
        index.depth == 0 ? "cannot read 'index.json'" : "cannot read the index " + describe(index.entry);
    Result<std::string> text = index.depth == 0 ? read_member(source, "index.json", limits.document)
                                                : read_blob(source, index.entry.blob, limits.document);
    if (!text) return fail(std::move(text), what);
    Result<std::vector<IndexEntry>> entries = parse_index(*text);
    if (!entries) return fail(std::move(entries), what);
    for (IndexEntry& entry : *entries) {
      const bool meant = index.meant || is_meant(entry, reference.value_or(""));
      if (entry.reference_name.empty()) entry.reference_name = index.entry.reference_name;
      if (entry.index) {
        if (index.depth >= limits.index_depth)
          return fail(ErrorKind::limit, fmt::format("{}: indexes nested deeper than {}", what, limits.index_depth));
        pending.push_back({.entry = std::move(entry), .depth = index.depth + 1, .meant = meant});
      } else if (meant && !entry.other_platform &&
                 std::ranges::find(candidates, entry.blob, &IndexEntry::blob) == candidates.end()) {
        candidates.push_back(std::move(entry));
      }
    }
  }
  if (candidates.empty())
    return fail(ErrorKind::not_found, reference ? fmt::format("the layout has no image '{}' for linux/{}",
                                                              printable(*reference), architecture())
                                                : fmt::format("the layout has no image for linux/{}", architecture()));
  if (candidates.size() > 1) {
    std::vector<std::string> names;
    for (const IndexEntry& entry : candidates | std::views::take(8)) names.push_back(describe(entry));
    return fail(ErrorKind::conflict,
                fmt::format("the layout has {} images: {}{}", candidates.size(), fmt::join(names, ", "),
                            names.size() < candidates.size() ? ", …" : ""),
                "choose one by --reference with its name or sha256: digest");
  }
  const IndexEntry& entry = candidates.front();
  const std::string what = fmt::format("cannot read the manifest {}", describe(entry));
  Result<std::string> text = read_blob(source, entry.blob, limits.document);
  if (!text) return fail(std::move(text), what);
  Result<Manifest> manifest = parse_manifest(*text, limits.layers);
  if (!manifest) return fail(std::move(manifest), what);
  return Chosen{.blob = entry.blob,
                .reference_name = entry.reference_name,
                .manifest = std::move(*manifest),
                .text = std::move(*text)};
}

}  // namespace orlop::image
