#include "image/reference.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orlop::image {
namespace {

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_component(std::string_view part) {
  const auto allowed = [](char c) { return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-'; };
  return !part.empty() && is_lower_or_digit(part.front()) && is_lower_or_digit(part.back()) &&
         std::ranges::all_of(part, allowed) && !part.contains("..");
}

bool is_tag(std::string_view tag) {
  const auto word = [](char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !tag.empty() && tag.size() <= 128 && word(tag.front()) &&
         std::ranges::all_of(tag, [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool is_port(std::string_view port) {
  return !port.empty() && port.size() <= 5 && std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool is_valid_image_name(std::string_view name) {
  if (name.size() > 255) return false;
  for (bool first = true;; first = false) {
    const std::size_t slash = name.find('/');
    std::string_view part = name.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    if (const std::size_t colon = part.find(':'); colon != std::string_view::npos) {
      const std::string_view behind = part.substr(colon + 1);
      if (last ? !is_tag(behind) : !first || !is_port(behind)) return false;
      part = part.substr(0, colon);
    }
    if (!is_component(part)) return false;
    if (last) return true;
    name.remove_prefix(slash + 1);
  }
}

Result<Reference> parse_reference(std::string_view written) {
  constexpr std::string_view separator = "@sha256:";
  const char* const remedy = "write NAME@sha256:DIGEST, as `orlop image import` and `orlop image ls` print it";
  const std::size_t at = written.find(separator);
  if (at == std::string_view::npos)
    return fail(ErrorKind::config, fmt::format("image '{}' has no digest", written), remedy);
  const std::string_view name = written.substr(0, at);
  if (!is_valid_image_name(name))
    return fail(ErrorKind::config, fmt::format("'{}' is not a name of an image", name), remedy);
  Result<Sha256> digest = parse_hex(written.substr(at + separator.size()));
  if (!digest) return fail(std::move(digest), fmt::format("in the image '{}'", written));
  return Reference{std::string(name), *digest};
}

std::string text(const Reference& reference) {
  return fmt::format("{}@sha256:{}", reference.name, hex(reference.manifest));
}

}  // namespace orlop::image
