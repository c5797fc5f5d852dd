#include "image/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace orlop::image {

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    if (!part.empty() && part != ".") parts.push_back(part);
    path.remove_prefix(std::min(path.size(), part.size() + 1));
  }
  return parts;
}

Result<std::string> normal_path(std::string_view written) {
  if (!written.starts_with('/'))
    return fail(ErrorKind::corrupt, fmt::format("the path '{}' is not absolute", printable(written)));
  const std::vector<std::string_view> parts = components(written);
  if (std::ranges::find(parts, "..") != parts.end())
    return fail(ErrorKind::corrupt, fmt::format("the path '{}' holds '..'", printable(written)));
  if (parts.empty()) return std::string(1, '/');
  std::string normal;
  for (const std::string_view part : parts) normal.append("/").append(part);
  if (!is_normal_path(normal))
    return fail(ErrorKind::corrupt, fmt::format("the path '{}' is too long or too deep", printable(written)));
  return normal;
}

bool is_normal_path(std::string_view path) {
  if (path == "/") return true;
  if (path.size() > max_path_bytes || !path.starts_with('/') || path.ends_with('/')) return false;
  std::string rejoined;
  const std::vector<std::string_view> parts = components(path);
  for (const std::string_view part : parts) {
    if (part == ".." || part.size() > 255 || part.contains('\0')) return false;
    rejoined.append("/").append(part);
  }
  return parts.size() <= max_path_depth && rejoined == path;
}

bool is_within(std::string_view path, std::string_view top) {
  return path.starts_with(top) && (path.size() == top.size() || top == "/" || path.at(top.size()) == '/');
}

std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\')
      text += c;
    else
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text;
}

}  // namespace orlop::image
