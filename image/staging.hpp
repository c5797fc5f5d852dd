// The three files that an intake leaves in its staging directory, the whole of what orlop-image and the store agree on.
#pragma once

#include <cstddef>
#include <string_view>

namespace orlop::image {

inline constexpr std::string_view seal_name = "image.erofs";
inline constexpr std::string_view record_name = "record.json";
/// The image's manifest, byte for byte as it was read: its digest is the image's identity.
inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::size_t max_manifest_bytes = 4UL << 20;

}  // namespace orlop::image
