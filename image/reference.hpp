// How an image is called: `NAME@sha256:DIGEST`. The digest, of the manifest, decides; the name is for people.
#pragma once

#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/error.hpp"

namespace orlop::image {

struct Reference {
  std::string name;
  Sha256 manifest;

  friend bool operator==(const Reference&, const Reference&) = default;
};

/// Whether `name` is a repository name of at most 255 bytes: components of a-z, 0-9 and inner '.', '_', '-', joined by
/// '/', the first may be a host with ":PORT", the last may end in ":TAG". Safe as a file name after its slashes.
/// Source: OCI distribution spec, "Pulling manifests".
bool is_valid_image_name(std::string_view name);

/// Reads `NAME@sha256:DIGEST`. config/… says which half is wrong.
Result<Reference> parse_reference(std::string_view written);
/// The form that parse_reference() reads and a host file holds.
std::string text(const Reference& reference);

}  // namespace orlop::image
