// How one key of the file is joined to one member of a struct, in both directions. A table of the file is a list of
// Keys; reading walks it, printing walks it, and the reference in docs/ is held against it. Adding a key to the file
// means a member in host.hpp and a row in schema.cpp.
//
// A codec is a stateless type that knows one sort of value:
//   static std::string type()                                   what the reference calls it
//   static bool read(const Value&, T&, const Context&)          false: refused, and said so
//   static std::string print(const T&)                          TOML that read() takes
//   static void list(const std::string& path, vector<KeyDoc>&)  optional: the keys inside
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.hpp"
#include "config/document.hpp"

namespace orlop::config {

/// Where a value is being read, and where to complain.
struct Context {
  Diagnostics& diagnostics;
  std::string key;  ///< dotted, from the root of the file

  /// The context of `name` below this one; a name that is no bare key is quoted.
  [[nodiscard]] Context below(std::string_view name) const;
  /// Refuses `value`: its text, then what is allowed. Always false, for `return context.refuse(…)`.
  bool refuse(const Value& value, std::string_view allowed) const;
  bool refuse(Position at, std::string fact, std::string allowed) const;
};

/// One key as the reference shows it: names that the operator chooses are in capitals (`container.NAME.image`).
struct KeyDoc {
  std::string path;
  std::string type;
  std::string default_value;  ///< as TOML, or `required`; empty: unset
};

/// One row of a table: a key, dotted where it stands in sub-tables, and the member of Owner it fills.
template <class Owner>
struct Key {
  std::string_view path;
  bool required;
  std::string (*type)();
  bool (*read)(const Value&, Owner&, const Context&);
  /// Appends `path = value`, or a line for each entry of a map; nothing for what is unset.
  void (*print)(const Owner&, std::string_view path, std::string& out);
  std::optional<std::string> (*value)(const Owner&);
  void (*list)(const std::string& path, std::vector<KeyDoc>&);  ///< null: nothing inside
};

/// The rows for Owner, defined in schema.cpp.
template <class Owner>
std::span<const Key<Owner>> keys_of();
/// Keys of Owner's table that belong to a later version.
template <class Owner>
std::span<const std::string_view> later_keys_of();

/// Walks a table of the file along dotted `known` keys and calls `found(index, value, context)` for each that is
/// written. Refuses unknown keys with the nearest known one, and those of `later` as not in this version.
void walk(const Value& table, std::span<const std::string_view> known, std::span<const std::string_view> later,
          const Context& context, const std::function<void(std::size_t, const Value&, const Context&)>& found);

/// A table with the keys of Owner.
template <class Owner>
struct Table {
  static std::string type() { return "table"; }
  static bool read(const Value& value, Owner& into, const Context& context) {
    const std::span<const Key<Owner>> keys = keys_of<Owner>();
    std::vector<std::string_view> known;
    for (const Key<Owner>& key : keys) known.push_back(key.path);
    if constexpr (requires { into.places; }) into.places.note("", context.diagnostics.place(value.at, context.key));
    bool good = true;
    std::vector<bool> written(keys.size());
    walk(value, known, later_keys_of<Owner>(), context,
         [&](std::size_t index, const Value& member, const Context& inner) {
           if constexpr (requires { into.places; })
             into.places.note(known[index], context.diagnostics.place(member.at, inner.key));
           written[index] = true;
           good = keys[index].read(member, into, inner) && good;
         });
    for (std::size_t i = 0; i < keys.size() && value.kind == Value::Kind::table; ++i)
      if (keys[i].required && !written[i])
        good = context.refuse(value.at, fmt::format("{} has no {}", context.key, keys[i].path),
                              fmt::format("add {}: {}", keys[i].path, keys[i].type()));
    return good;
  }
  /// `{ a = 1, b = 2 }`.
  static std::string print(const Owner& owner) {
    std::string out;
    for (const Key<Owner>& key : keys_of<Owner>())
      if (const auto value = key.value(owner))
        out += fmt::format("{} {} = {}", out.empty() ? "" : ",", key.path, *value);
    return "{" + out + " }";
  }
  static void list(const std::string& path, std::vector<KeyDoc>& out) {
    const Owner initial{};
    for (const Key<Owner>& key : keys_of<Owner>()) {
      const std::string inner = fmt::format("{}{}{}", path, path.empty() ? "" : ".", key.path);
      out.push_back({inner, key.type(), key.required ? "required" : key.value(initial).value_or("")});
      if (key.list != nullptr) key.list(inner, out);
    }
  }
};

/// A table whose keys the operator chooses: NameRule says which, Codec reads the values. An entry that the map already
/// holds (a default) is changed, not replaced, by what is written.
template <class NameRule, class Codec>
struct Map {
  static std::string type() { return fmt::format("table, {} = {}", NameRule::word, Codec::type()); }
  template <class T>
  static bool read(const Value& value, std::map<std::string, T>& into, const Context& context) {
    if (value.kind != Value::Kind::table) return context.refuse(value, "a table");
    bool good = true;
    for (const Entry& entry : value.table) {
      const Context inner = context.below(entry.key);
      const auto wrong = NameRule::check(entry.key);
      if (wrong) {
        good = inner.refuse(entry.at, fmt::format("{} cannot be a key of {}", excerpt(entry.key), context.key), *wrong);
        continue;
      }
      T& slot = into.try_emplace(entry.key).first->second;
      if constexpr (requires { slot.name; }) slot.name = entry.key;
      good = Codec::read(entry.value, slot, inner) && good;
    }
    return good;
  }
  template <class T>
  static std::string print(const std::map<std::string, T>& map) {
    std::string out;
    for (const auto& [name, value] : map)
      out += fmt::format("{} {} = {}", out.empty() ? "" : ",", quoted(name), Codec::print(value));
    return "{" + out + " }";
  }
  /// A line for each entry.
  template <class T>
  static void print_lines(const std::map<std::string, T>& map, std::string_view path, std::string& out) {
    for (const auto& [name, value] : map) out += fmt::format("{}.{} = {}\n", path, quoted(name), Codec::print(value));
  }
  static void list(const std::string& path, std::vector<KeyDoc>& out) {
    if constexpr (requires { Codec::list(path, out); }) Codec::list(fmt::format("{}.{}", path, NameRule::word), out);
  }
};

namespace detail {
template <class T>
struct Unwrap {
  static constexpr bool optional = false;
};
template <class T>
struct Unwrap<std::optional<T>> {
  static constexpr bool optional = true;
};
}  // namespace detail

/// Makes rows of Owner: `Rows<Tmpfs>::key<Size<>>("size", [](auto& t) -> auto& { return t.size; })`. The member may be
/// an optional: it is unset when the key is not written. `required` is the same for a key that must be.
template <class Owner>
struct Rows {
  template <class Codec, class Get>
  static constexpr Key<Owner> key(std::string_view path, Get) {
    Key<Owner> row{};
    row.path = path;
    row.type = &Codec::type;
    row.read = [](const Value& value, Owner& owner, const Context& context) {
      auto& member = Get{}(owner);
      using Member = std::remove_reference_t<decltype(member)>;
      if constexpr (detail::Unwrap<Member>::optional)
        return Codec::read(value, member.emplace(), context);
      else
        return Codec::read(value, member, context);
    };
    row.value = [](const Owner& owner) -> std::optional<std::string> {
      const auto& member = Get{}(owner);
      using Member = std::remove_cvref_t<decltype(member)>;
      if constexpr (detail::Unwrap<Member>::optional)
        return member ? std::optional(Codec::print(*member)) : std::nullopt;
      else
        return Codec::print(member);
    };
    row.print = [](const Owner& owner, std::string_view at, std::string& out) {
      const auto& member = Get{}(owner);
      using Member = std::remove_cvref_t<decltype(member)>;
      if constexpr (detail::Unwrap<Member>::optional) {
        if (member) out += fmt::format("{} = {}\n", at, Codec::print(*member));
      } else if constexpr (requires { Codec::print_lines(member, at, out); }) {
        Codec::print_lines(member, at, out);
      } else {
        out += fmt::format("{} = {}\n", at, Codec::print(member));
      }
    };
    if constexpr (requires(const std::string& at, std::vector<KeyDoc>& out) { Codec::list(at, out); })
      row.list = &Codec::list;
    return row;
  }

  template <class Codec, class Get>
  static constexpr Key<Owner> required(std::string_view path, Get get) {
    Key<Owner> row = key<Codec>(path, get);
    row.required = true;
    return row;
  }
};

}  // namespace orlop::config
