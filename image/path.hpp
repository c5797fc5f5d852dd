// Paths inside an image, as text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace orlop::image {

/// Bytes of a path inside an image at most, so that a path with a prefix of orlop's own stays below PATH_MAX.
inline constexpr std::size_t max_path_bytes = 4000;
/// Components of a path at most.
inline constexpr std::size_t max_path_depth = 128;

/// The components between slashes, empty ones and "." left out. ".." is kept.
std::vector<std::string_view> components(std::string_view path);

/// Whether `path` is absolute and has no "..", ".", doubled or closing slash, within the limits above.
bool is_normal_path(std::string_view path);
/// The normal form of an absolute path; doubled and closing slashes and "." go. corrupt/… for a relative path, for
/// ".." and beyond the limits.
Result<std::string> normal_path(std::string_view written);
/// Whether `path`, normal, is `top` or lies below it.
bool is_within(std::string_view path, std::string_view top);

/// `bytes` for people: what is not printable ASCII, and the backslash, as \xHH.
std::string printable(std::string_view bytes);

}  // namespace orlop::image
