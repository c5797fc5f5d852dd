// Index and manifest of an OCI image layout: pure readers, and the choice of the one image that is meant.
//
// A document is what its descriptor's media type says, and must not look like the other kind: with both `layers` and
// `manifests`, or a media type of its own that differs, it is refused (CVE-2021-41190).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "image/worker/limits.hpp"
#include "image/worker/source.hpp"

namespace orlop::image {

/// A line of an index: one image, or an index of images.
struct IndexEntry {
  BlobId blob;
  bool index = false;           ///< an index in an index
  std::string reference_name;   ///< annotation org.opencontainers.image.ref.name; may be empty
  bool other_platform = false;  ///< made for another system than this one

  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

enum class Packing : std::uint8_t { none, gzip, zstd };

struct Layer {
  BlobId blob;
  Packing packing = Packing::none;

  friend bool operator==(const Layer&, const Layer&) = default;
};

struct Manifest {
  BlobId config;
  std::vector<Layer> layers;  ///< lowest first

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// The OCI name of this machine's architecture ("amd64", "arm64").
std::string_view architecture();

/// Reads an index. Entries of media types that are no image are left out.
Result<std::vector<IndexEntry>> parse_index(std::string_view text);
/// Reads an image manifest of at most `max_layers` layers.
Result<Manifest> parse_manifest(std::string_view text, std::size_t max_layers);

/// The image that was chosen, verified down to the manifest's bytes.
struct Chosen {
  BlobId blob;
  std::string reference_name;  ///< of it or of the index that led to it; may be empty
  Manifest manifest;
  std::string text;  ///< the manifest's bytes
};
/// The one image of the layout for this machine; with `reference`, among those whose reference name or digest
/// ("sha256:…") it is. not_found/… when there is none, conflict/… naming them all when there are several.
Result<Chosen> choose_image(const Source& source, const std::optional<std::string>& reference, const Limits& limits);

}  // namespace orlop::image
