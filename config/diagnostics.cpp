#include "config/diagnostics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "config/utf8.hpp"

namespace orlop::config {
namespace {

constexpr std::size_t excerpt_bytes = 80;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto [point, length, valid] = front_of(text);
    text.remove_prefix(length);
    if (point == '"' || point == '\\')
      (out += '\\') += static_cast<char>(point);
    else if (point == '\n')
      out += "\\n";
    else if (point == '\t')
      out += "\\t";
    else if (point >= 0x20 && point < 0x7F)
      out += static_cast<char>(point);
    else if (point <= 0xFFFF)
      out += fmt::format("\\u{:04X}", static_cast<std::uint32_t>(point));
    else
      out += fmt::format("\\U{:08X}", static_cast<std::uint32_t>(point));
  }
  return out + '"';
}

std::string excerpt(std::string_view text) {
  if (text.size() <= excerpt_bytes) return quoted(text);
  return fmt::format("{}… ({} bytes)", quoted(text.substr(0, excerpt_bytes)), text.size());
}

std::string_view nearest(std::string_view written, std::span<const std::string_view> known) {
  std::string_view best;
  std::size_t least = std::max<std::size_t>(2, written.size() / 3) + 1;
  if (written.size() > 256) return best;
  for (const std::string_view word : known) {
    const std::size_t distance = edit_distance(written, word);
    if (distance < least && distance < word.size()) {
      least = distance;
      best = word;
    }
  }
  return best;
}

std::string alternatives(std::span<const std::string_view> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

void Diagnostics::refuse(Position at, std::string key, std::string fact, std::string allowed) {
  refuse(place(at, std::move(key)), std::move(fact), std::move(allowed));
}

void Diagnostics::refuse(Place place, std::string fact, std::string allowed, ErrorKind kind) {
  refused_.insert(place.key);
  if (full()) {
    ++left_out_;
    return;
  }
  const std::pair at(place.line, place.column);
  errors_.emplace(
      at, Error{.kind = kind, .chain = {std::move(fact)}, .place = std::move(place), .remedy = std::move(allowed)});
}

bool Diagnostics::refused(std::string_view key) const {
  const std::string inside = std::string(key) + '.';
  const auto below = refused_.lower_bound(inside);
  return refused_.contains(key) || (below != refused_.end() && below->starts_with(inside));
}

std::vector<Error> Diagnostics::take() && {
  std::vector<Error> out;
  for (auto& [at, error] : errors_) out.push_back(std::move(error));
  if (left_out_ > 0)
    out.push_back({.kind = ErrorKind::config,
                   .chain = {fmt::format("{} more errors are left out", left_out_)},
                   .place = out.back().place,
                   .remedy = "correct those above first"});
  return out;
}

}  // namespace orlop::config
