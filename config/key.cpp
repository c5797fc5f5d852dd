#include "config/key.hpp"

#include <algorithm>

namespace orlop::config {
namespace {

bool bare(std::string_view key) {
  return !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// The part of each of `known` that stands right below `prefix`, each once.
std::vector<std::string_view> below(std::span<const std::string_view> known, std::string_view prefix) {
  std::vector<std::string_view> out;
  for (std::string_view path : known) {
    if (!path.starts_with(prefix)) continue;
    path.remove_prefix(prefix.size());
    path = path.substr(0, path.find('.'));
    if (std::ranges::find(out, path) == out.end()) out.push_back(path);
  }
  return out;
}

struct Walk {
  std::span<const std::string_view> known;
  std::span<const std::string_view> later;
  const std::function<void(std::size_t, const Value&, const Context&)>& found;

  /// `prefix` is empty or ends with a dot. The depth is that of the schema, not of the file.
  void table(const Value& value, const std::string& prefix, const Context& context) const {
    if (value.kind != Value::Kind::table) {
      context.refuse(value, fmt::format("a table of {}", alternatives(below(known, prefix))));
      return;
    }
    for (const Entry& entry : value.table) this->entry(entry, prefix, context);
  }

  void entry(const Entry& entry, const std::string& prefix, const Context& context) const {
    const std::string path = prefix + entry.key;
    const Context inner = context.below(entry.key);
    if (bare(entry.key)) {  // "a.b" as one quoted key is not the path a.b
      if (const auto exact = std::ranges::find(known, path); exact != known.end())
        return found(static_cast<std::size_t>(exact - known.begin()), entry.value, inner);
      if (std::ranges::any_of(known, [&](std::string_view key) { return key.starts_with(path + "."); }))
        return table(entry.value, path + ".", inner);
      if (std::ranges::find(later, path) != later.end()) {
        inner.refuse(entry.at, fmt::format("{} is not in this version", inner.key), "leave it out");
        return;
      }
    }
    const std::vector<std::string_view> siblings = below(known, prefix);
    const std::string_view near = context.diagnostics.full() ? "" : nearest(entry.key, siblings);
    inner.refuse(
        entry.at, fmt::format("unknown key {}", excerpt(entry.key)),
        near.empty() ? fmt::format("allowed here: {}", alternatives(siblings)) : fmt::format("did you mean {}?", near));
  }
};

}  // namespace

Context Context::below(std::string_view name) const {
  const std::string shown = bare(name) ? std::string(name) : excerpt(name);
  return {diagnostics, key.empty() ? shown : fmt::format("{}.{}", key, shown)};
}

bool Context::refuse(const Value& value, std::string_view allowed) const {
  return refuse(value.at, fmt::format("{} cannot be {}", key.empty() ? "the file" : key, describe(value)),
                fmt::format("allowed: {}", allowed));
}

bool Context::refuse(Position at, std::string fact, std::string allowed) const {
  diagnostics.refuse(at, key, std::move(fact), std::move(allowed));
  return false;
}

void walk(const Value& table, std::span<const std::string_view> known, std::span<const std::string_view> later,
          const Context& context, const std::function<void(std::size_t, const Value&, const Context&)>& found) {
  Walk{known, later, found}.table(table, "", context);
}

}  // namespace orlop::config
