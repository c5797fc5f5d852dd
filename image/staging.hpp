// The two files that an intake leaves in its staging directory, the whole of what orlop-image and the store agree on.
#pragma once

#include <string_view>

namespace orlop::image {

inline constexpr std::string_view seal_name = "image.erofs";
inline constexpr std::string_view record_name = "record.json";

}  // namespace orlop::image
