// The sorts of values that host.toml knows, each read from TOML and printed back. See key.hpp for what a codec is.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "config/host.hpp"
#include "config/key.hpp"

namespace orlop::config {

struct Boolean {
  static std::string type() { return "true or false"; }
  static bool read(const Value& value, bool& into, const Context& context);
  static std::string print(bool value) { return value ? "true" : "false"; }
};

/// Any text that is a valid C string.
struct Text {
  static std::string type() { return "text"; }
  static bool read(const Value& value, std::string& into, const Context& context);
  static std::string print(const std::string& value) { return quoted(value); }
};

/// Text of which Rule::check() says nothing wrong; Rule::word() is its type in the reference.
template <class Rule>
struct Ruled {
  static std::string type() { return std::string(Rule::type_word); }
  static bool read(const Value& value, std::string& into, const Context& context) {
    std::string text;
    if (!Text::read(value, text, context)) return false;
    if (const auto wrong = Rule::check(text)) return context.refuse(value, *wrong);
    into = std::move(text);
    return true;
  }
  static std::string print(const std::string& value) { return quoted(value); }
};

bool read_integer(const Value& value, std::uint64_t min, std::uint64_t max, std::uint64_t& into,
                  const Context& context);
template <std::uint64_t min, std::uint64_t max>
struct Integer {
  static std::string type() { return fmt::format("integer, {} to {}", min, max); }
  static bool read(const Value& value, std::uint64_t& into, const Context& context) {
    return read_integer(value, min, max, into, context);
  }
  static std::string print(std::uint64_t value) { return fmt::format("{}", value); }
};

bool read_size(const Value& value, Bytes min, Bytes max, std::string_view suffix, Bytes& into, const Context& context);
/// A size with its unit, within bytes `min` to `max`.
template <std::uint64_t min = 0, std::uint64_t max = 1ULL << 50>
struct Size {
  static std::string type() { return min == 0 ? "size" : fmt::format("size, at least {}", format_bytes({min})); }
  static bool read(const Value& value, Bytes& into, const Context& context) {
    return read_size(value, {min}, {max}, "", into, context);
  }
  static std::string print(Bytes value) { return quoted(format_bytes(value)); }
};

/// A size a second: `1MiB/s`.
struct Rate {
  static std::string type() { return "size a second"; }
  static bool read(const Value& value, Bytes& into, const Context& context) {
    return read_size(value, 1_KiB, {1ULL << 40}, "/s", into, context);
  }
  static std::string print(Bytes value) { return quoted(format_bytes(value) + "/s"); }
};

bool read_time(const Value& value, Duration min, Duration max, Duration& into, const Context& context);
/// A duration with its unit, whole milliseconds within `min_ms` to `max_ms`.
template <std::int64_t min_ms, std::int64_t max_ms>
struct Time {
  static constexpr Duration min = std::chrono::milliseconds(min_ms);
  static constexpr Duration max = std::chrono::milliseconds(max_ms);
  static std::string type() { return fmt::format("duration, {} to {}", format_duration(min), format_duration(max)); }
  static bool read(const Value& value, Duration& into, const Context& context) {
    return read_time(value, min, max, into, context);
  }
  static std::string print(Duration value) { return quoted(format_duration(value)); }
};

bool read_cpu(const Value& value, std::uint64_t min, std::uint64_t max, std::uint64_t& into, const Context& context);
/// CPUs as a number (`1.5`) or text (`"150%"`, `"1500m"`), kept in thousandths within `min` to `max`.
template <std::uint64_t min>
struct Cpu {
  static constexpr std::uint64_t max = 8'192'000;
  static std::string type() { return "CPUs"; }
  static bool read(const Value& value, std::uint64_t& into, const Context& context) {
    return read_cpu(value, min, max, into, context);
  }
  static std::string print(std::uint64_t millis) { return fmt::format("{}.{:03}", millis / 1000, millis % 1000); }
};

/// One of an enum's words.
template <class Enum>
struct Word {
  static std::string type() { return alternatives(names(Enum{})); }
  static bool read(const Value& value, Enum& into, const Context& context) {
    const auto words = names(Enum{});
    const auto found = std::ranges::find(words, value.kind == Value::Kind::text ? value.text : std::string());
    if (found == words.end()) return context.refuse(value, type());
    into = static_cast<Enum>(found - words.begin());
    return true;
  }
  static std::string print(Enum value) { return quoted(to_string(value)); }
};

/// An array in the order of the file.
template <class Codec, std::size_t max = 4096>
struct List {
  static std::string type() { return fmt::format("list of {}", Codec::type()); }
  static bool read(const Value& value, std::vector<std::string>& into, const Context& context) {
    if (value.kind != Value::Kind::array) return context.refuse(value, type());
    if (value.array.size() > max) return context.refuse(value, fmt::format("at most {} elements", max));
    bool good = true;
    for (const Value& element : value.array) good = Codec::read(element, into.emplace_back(), context) && good;
    return good;
  }
  static std::string print(const std::vector<std::string>& values) {
    std::vector<std::string> parts;
    for (const std::string& value : values) parts.push_back(Codec::print(value));
    return fmt::format("[{}]", fmt::join(parts, ", "));
  }
};

/// An array whose order says nothing: kept sorted, nothing in it twice.
template <class Codec, std::size_t max = 4096>
struct Set {
  static std::string type() { return List<Codec>::type(); }
  static bool read(const Value& value, std::vector<std::string>& into, const Context& context) {
    if (!List<Codec, max>::read(value, into, context)) return false;
    std::set<std::string_view> seen;
    for (std::size_t i = 0; i < into.size(); ++i)
      if (!seen.insert(into[i]).second)
        return context.refuse(value.array[i].at, fmt::format("{} stands there twice", excerpt(into[i])),
                              "name it once");
    std::ranges::sort(into);
    return true;
  }
  static std::string print(const std::vector<std::string>& values) { return List<Codec>::print(values); }
};

/// `NAME@sha256:…`.
struct ImageReference {
  static std::string type() { return "NAME@sha256:DIGEST"; }
  static bool read(const Value& value, image::Reference& into, const Context& context);
  static std::string print(const image::Reference& image) { return quoted(image::text(image)); }
};

/// Permission bits as octal text.
struct Mode {
  static std::string type() { return "octal mode"; }
  static bool read(const Value& value, mode_t& into, const Context& context);
  static std::string print(mode_t mode) { return quoted(fmt::format("{:04o}", mode)); }
};

/// A group: a number below 65536 or a name, kept as text.
struct GroupName {
  static std::string type() { return "group"; }
  static bool read(const Value& value, std::string& into, const Context& context);
  static std::string print(const std::string& group);
};

struct Signal {
  static std::string type() { return "signal"; }
  static bool read(const Value& value, int& into, const Context& context);
  static std::string print(int number);
};

struct Capabilities {
  static std::string type() { return "list of capabilities"; }
  static bool read(const Value& value, std::uint64_t& into, const Context& context);
  static std::string print(std::uint64_t mask);
};

/// A size, or a table with more to say.
struct TmpfsEntry {
  static std::string type() { return "size or table"; }
  static bool read(const Value& value, Tmpfs& into, const Context& context);
  static std::string print(const Tmpfs& tmpfs) { return Table<Tmpfs>::print(tmpfs); }
  static void list(const std::string& path, std::vector<KeyDoc>& out) { Table<Tmpfs>::list(path, out); }
};

/// A table; an array of such tables belongs to a later version.
struct HealthCheck {
  static std::string type() { return "table"; }
  static bool read(const Value& value, Health& into, const Context& context);
  static std::string print(const Health& health) { return Table<Health>::print(health); }
  static void list(const std::string& path, std::vector<KeyDoc>& out) { Table<Health>::list(path, out); }
};

/// A number, a size, "unlimited", or a table of `soft` and `hard`.
struct RlimitEntry {
  static std::string type() { return "number, size, unlimited, or table of soft and hard"; }
  static bool read(const Value& value, Rlimit& into, const Context& context);
  static std::string print(const Rlimit& limit);
};

// --- rules for names and text: check() returns what is allowed when `text` is not ---

using Wrong = std::optional<std::string>;

/// Names of containers, volumes and the host.
struct Name {
  static constexpr std::string_view word = "NAME";
  static constexpr std::string_view type_word = "name";
  static Wrong check(std::string_view text);
};
/// An absolute, normalised path.
struct Path {
  static constexpr std::string_view word = "PATH";
  static constexpr std::string_view type_word = "absolute path";
  static Wrong check(std::string_view text);
};
/// A Path at which something may be mounted: not the root, nothing in /proc, /sys, /dev but /dev/shm.
struct MountTarget {
  static constexpr std::string_view word = "PATH";
  static Wrong check(std::string_view text);
};
/// A Path of the host that a container may see.
struct HostPath {
  static constexpr std::string_view type_word = "absolute path";
  static Wrong check(std::string_view text);
};
/// `NAME` of an environment variable.
struct Variable {
  static constexpr std::string_view word = "VARIABLE";
  static Wrong check(std::string_view text);
};
struct Label {
  static constexpr std::string_view word = "LABEL";
  static Wrong check(std::string_view text);
};
struct RlimitName {
  static constexpr std::string_view word = "LIMIT";
  static Wrong check(std::string_view text);
};
struct User {
  static constexpr std::string_view type_word = "UID:GID, UID, NAME or NAME:GROUP";
  static Wrong check(std::string_view text);
};
struct HostName {
  static constexpr std::string_view type_word = "host name";
  static Wrong check(std::string_view text);
};
struct CpuList {
  static constexpr std::string_view type_word = "list of CPUs";
  static Wrong check(std::string_view text);
};
/// argv[0]: absolute, or a name searched in PATH.
struct Argument {
  static constexpr std::string_view type_word = "text";
  static Wrong check(std::string_view text);
};

/// The RLIMIT_* number of a lower-case name such as `nofile`; nothing if there is none.
std::optional<int> rlimit_number(std::string_view name);
/// The names of all sixteen, by number.
std::span<const std::string_view> rlimit_names();

}  // namespace orlop::config
