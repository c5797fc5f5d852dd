#include "config/codec.hpp"

#include <sys/resource.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/name.hpp"
#include "base/number.hpp"
#include "config/capability.hpp"
#include "config/signal.hpp"
#include "image/record.hpp"

namespace orlop::config {
namespace {

/// A whole decimal number without sign or leading zero, at most `max`.
std::optional<std::uint64_t> number(std::string_view text, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

/// A name of /etc/passwd or /etc/group (useradd(8), with dots and capitals that images use).
bool account_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && text.size() <= 32 && letter(text.front()) && std::ranges::all_of(text, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '$';
  });
}

bool account(std::string_view text) {
  return number(text, image::id_limit - 1).has_value() || account_name(text);
}

/// Whether `path` is `root` or inside it.
bool within(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.size() == root.size() || root == "/" || path[root.size()] == '/');
}

constexpr std::string_view cpu_words = "CPUs such as 1.5, \"150%\" or \"1500m\"";

}  // namespace

bool Boolean::read(const Value& value, bool& into, const Context& context) {
  if (value.kind != Value::Kind::boolean) return context.refuse(value, type());
  into = value.boolean;
  return true;
}

bool Text::read(const Value& value, std::string& into, const Context& context) {
  if (value.kind != Value::Kind::text) return context.refuse(value, "text in quotes");
  into = value.text;
  return true;
}

bool read_integer(const Value& value, std::uint64_t min, std::uint64_t max, std::uint64_t& into,
                  const Context& context) {
  if (value.kind != Value::Kind::integer || value.integer < 0 || static_cast<std::uint64_t>(value.integer) < min ||
      static_cast<std::uint64_t>(value.integer) > max)
    return context.refuse(value, fmt::format("an integer, {} to {}", min, max));
  into = static_cast<std::uint64_t>(value.integer);
  return true;
}

bool read_size(const Value& value, Bytes min, Bytes max, std::string_view suffix, Bytes& into, const Context& context) {
  const std::string allowed = fmt::format("{}{} to {}{}, with its unit: B, KiB, MiB or GiB", format_bytes(min), suffix,
                                          format_bytes(max), suffix);
  if (value.kind != Value::Kind::text || !value.text.ends_with(suffix)) return context.refuse(value, allowed);
  const Result<Bytes> size = parse_bytes(std::string_view(value.text).substr(0, value.text.size() - suffix.size()));
  if (!size || *size < min || *size > max) return context.refuse(value, allowed);
  into = *size;
  return true;
}

bool read_time(const Value& value, Duration min, Duration max, Duration& into, const Context& context) {
  const std::string allowed = fmt::format("{} to {} in whole milliseconds, with its unit: ms, s, min, h or d",
                                          format_duration(min), format_duration(max));
  if (value.kind != Value::Kind::text) return context.refuse(value, allowed);
  const Result<Duration> time = parse_duration(value.text);
  if (!time || *time < min || *time > max || *time % std::chrono::milliseconds(1) != Duration::zero())
    return context.refuse(value, allowed);
  into = *time;
  return true;
}

bool read_cpu(const Value& value, std::uint64_t min, std::uint64_t max, std::uint64_t& into, const Context& context) {
  const std::string allowed = fmt::format("{}, {} to {}, in steps of 0.001", cpu_words, static_cast<double>(min) / 1000,
                                          static_cast<double>(max) / 1000);
  constexpr std::array<Unit, 2> units = {Unit{"%", 10}, Unit{"m", 1}};
  std::optional<std::uint64_t> millis;
  if (value.kind == Value::Kind::text) millis = parse_with_unit(value.text, units, max);
  if (value.kind == Value::Kind::integer && value.integer >= 0 &&
      static_cast<std::uint64_t>(value.integer) <= max / 1000)
    millis = static_cast<std::uint64_t>(value.integer) * 1000;
  if (value.kind == Value::Kind::real && value.real >= 0 && value.real <= static_cast<double>(max) / 1000) {
    const double scaled = value.real * 1000;
    if (std::abs(scaled - std::round(scaled)) < 1e-6) millis = static_cast<std::uint64_t>(std::llround(scaled));
  }
  if (!millis || *millis < min || *millis > max) return context.refuse(value, allowed);
  into = *millis;
  return true;
}

bool ImageReference::read(const Value& value, image::Reference& into, const Context& context) {
  std::string written;
  if (!Text::read(value, written, context)) return false;
  Result<image::Reference> reference = image::parse_reference(written);
  if (!reference)
    return context.refuse(value.at,
                          fmt::format("{} cannot be {}: {}", context.key, describe(value), sentence(reference.error())),
                          "allowed: NAME@sha256: and 64 hexadecimal digits, as `orlop image import` prints it");
  into = *std::move(reference);
  return true;
}

bool Mode::read(const Value& value, mode_t& into, const Context& context) {
  unsigned bits = 0;
  const std::string_view text = value.text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits, 8);
  if (value.kind != Value::Kind::text || text.size() < 3 || text.size() > 4 || error != std::errc{} ||
      end != text.data() + text.size() || bits > 01777)
    return context.refuse(value, "permission bits in octal as text, \"0000\" to \"1777\"");
  into = bits;
  return true;
}

bool GroupName::read(const Value& value, std::string& into, const Context& context) {
  if (value.kind == Value::Kind::integer && value.integer >= 0 && value.integer < image::id_limit)
    into = fmt::format("{}", value.integer);
  else if (value.kind == Value::Kind::text && account_name(value.text))
    into = value.text;
  else
    return context.refuse(value, fmt::format("a number 0 to {}, or a group's name in quotes", image::id_limit - 1));
  return true;
}

std::string GroupName::print(const std::string& group) {
  return number(group, image::id_limit) ? group : quoted(group);
}

bool Signal::read(const Value& value, int& into, const Context& context) {
  const auto signal = value.kind == Value::Kind::text ? signal_number(value.text) : std::nullopt;
  if (!signal) return context.refuse(value, "the name of a signal, such as \"SIGTERM\" or \"SIGRTMIN+3\"");
  into = *signal;
  return true;
}

std::string Signal::print(int signal) {
  return quoted(signal_name(signal));
}

bool Capabilities::read(const Value& value, std::uint64_t& into, const Context& context) {
  if (value.kind != Value::Kind::array) return context.refuse(value, "a list of capabilities, such as [\"CHOWN\"]");
  bool good = true;
  for (const Value& element : value.array) {
    std::string name;
    if (!Text::read(element, name, context)) {
      good = false;
      continue;
    }
    const Result<unsigned> capability = parse_capability(name);
    if (!capability)
      good = context.refuse(element.at, sentence(capability.error()), capability.error().remedy);
    else if ((into >> *capability & 1U) != 0)
      good = context.refuse(element.at, fmt::format("{} stands there twice", excerpt(name)), "name it once");
    else
      into |= 1ULL << *capability;
  }
  return good;
}

std::string Capabilities::print(std::uint64_t mask) {
  return List<Text>::print(capability_names(mask));
}

bool TmpfsEntry::read(const Value& value, Tmpfs& into, const Context& context) {
  into.places.note("", context.diagnostics.place(value.at, context.key));
  if (value.kind == Value::Kind::text) return Size<4096>::read(value, into.size, context);
  if (value.kind == Value::Kind::table) return Table<Tmpfs>::read(value, into, context);
  return context.refuse(value, "a size such as \"16MiB\", or a table of size, mode, inodes and exec");
}

bool HealthCheck::read(const Value& value, Health& into, const Context& context) {
  if (value.kind == Value::Kind::array)
    return context.refuse(value.at, fmt::format("an array of checks for {} is not in this version", context.key),
                          "write one table");
  return Table<Health>::read(value, into, context);
}

bool RlimitEntry::read(const Value& value, Rlimit& into, const Context& context) {
  const auto one = [&](const Value& from, const Context& at, std::uint64_t& limit) {
    const Result<Bytes> size = from.kind == Value::Kind::text ? parse_bytes(from.text) : Result<Bytes>{};
    if (from.kind == Value::Kind::integer && from.integer >= 0)
      limit = static_cast<std::uint64_t>(from.integer);
    else if (from.kind == Value::Kind::text && from.text == "unlimited")
      limit = RLIM_INFINITY;
    else if (from.kind == Value::Kind::text && size)
      limit = size->count;
    else
      return at.refuse(from, "a number, a size with its unit, or \"unlimited\"");
    return true;
  };
  if (value.kind != Value::Kind::table) {
    if (!one(value, context, into.soft)) return false;
    into.hard = into.soft;
    return true;
  }
  constexpr std::array<std::string_view, 2> keys = {"soft", "hard"};
  bool good = true;
  std::size_t seen = 0;
  const std::size_t before = value.table.size();
  walk(value, keys, {}, context, [&](std::size_t index, const Value& limit, const Context& inner) {
    ++seen;
    good = one(limit, inner, index == 0 ? into.soft : into.hard) && good;
  });
  if (!good || seen != before) return false;
  if (seen != keys.size()) return context.refuse(value, "both soft and hard");
  if (into.soft > into.hard)
    return context.refuse(value.at, fmt::format("{}: the soft limit is above the hard one", context.key),
                          "allowed: soft at most hard");
  return true;
}

std::string RlimitEntry::print(const Rlimit& limit) {
  const auto one = [](std::uint64_t value) {
    return value == RLIM_INFINITY ? quoted("unlimited") : fmt::format("{}", value);
  };
  return fmt::format("{{ soft = {}, hard = {} }}", one(limit.soft), one(limit.hard));
}

Wrong Name::check(std::string_view text) {
  return is_valid_name(text) ? Wrong{} : Wrong(name_rule);
}

Wrong Path::check(std::string_view text) {
  Wrong wrong = "an absolute path without empty, \".\" or \"..\" parts and without a slash at its end";
  if (!text.starts_with('/') || text.size() > 4095) return wrong;
  if (text == "/") return {};
  for (std::string_view rest = text; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return wrong;
    rest.remove_prefix(part.size());
  }
  return {};
}

Wrong MountTarget::check(std::string_view text) {
  if (Wrong wrong = Path::check(text)) return wrong;
  if (text == "/") return "a path below the root: the root itself is the sealed image";
  if (text == "/dev/shm") return {};
  for (const std::string_view own : {"/proc", "/sys", "/dev"})
    if (within(text, own)) return fmt::format("a path outside {}, which is orlop's own to make", own);
  return {};
}

Wrong HostPath::check(std::string_view text) {
  if (Wrong wrong = Path::check(text)) return wrong;
  if (text == "/etc") return "a path below /etc: the whole of it holds the host's keys and passwords";
  for (const std::string_view secret : {"/proc", "/sys", "/dev", "/run/orlop", "/var/lib/orlop"})
    if (within(text, secret) || within(secret, text))
      return fmt::format("a path that neither is in {} nor contains it", secret);
  return {};
}

Wrong Variable::check(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 255 &&
                    std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '='; });
  return good ? Wrong{} : Wrong("printable ASCII without '=' and spaces, at most 255 bytes");
}

Wrong Label::check(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 127 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  });
  return good ? Wrong{} : Wrong("1 to 127 of a-z, 0-9, '-', '_', '.' and '/'");
}

Wrong RlimitName::check(std::string_view text) {
  if (text == "core")
    return "no rlimits.core: it is always 1, which alone stops a core_pattern of the host that pipes to a program";
  if (rlimit_number(text)) return {};
  const std::string_view near = nearest(text, rlimit_names());
  if (!near.empty()) return fmt::format("did you mean {}?", near);
  return fmt::format("one of {}", alternatives(rlimit_names()));
}

Wrong User::check(std::string_view text) {
  const std::size_t colon = text.find(':');
  const bool good =
      account(text.substr(0, colon)) && (colon == std::string_view::npos || account(text.substr(colon + 1)));
  return good ? Wrong{}
              : Wrong(fmt::format("UID:GID, UID, NAME or NAME:GROUP; ids are 0 to {}, names are those of the image",
                                  image::id_limit - 1));
}

Wrong HostName::check(std::string_view text) {
  bool good = text.size() <= 64;  // HOST_NAME_MAX
  for (std::string_view rest = text; good;) {
    const std::size_t dot = rest.find('.');
    good = is_valid_name(rest.substr(0, dot));
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  return good ? Wrong{} : Wrong(fmt::format("at most 64 bytes; between its dots {}", name_rule));
}

Wrong CpuList::check(std::string_view text) {
  constexpr std::uint64_t max_cpu = 8191;
  Wrong wrong = fmt::format("numbers and ranges of CPUs such as \"0-3,7\", ascending, 0 to {}", max_cpu);
  if (text.empty()) return {};
  std::int64_t last = -1;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const std::string_view range = text.substr(0, comma);
    const std::size_t dash = range.find('-');
    const auto first = number(range.substr(0, dash), max_cpu);
    const auto end = dash == std::string_view::npos ? first : number(range.substr(dash + 1), max_cpu);
    if (!first || !end || *end < *first || static_cast<std::int64_t>(*first) <= last) return wrong;
    last = static_cast<std::int64_t>(*end);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return {};
}

std::span<const std::string_view> rlimit_names() {
  // In the order of asm-generic/resource.h, 0 to 15.
  static constexpr std::array<std::string_view, 16> names = {
      "cpu",     "fsize", "data",  "stack",      "core",     "rss",  "nproc",  "nofile",
      "memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime"};
  static_assert(RLIMIT_CPU == 0 && RLIMIT_CORE == 4 && RLIMIT_NOFILE == 7 && RLIMIT_AS == 9 && RLIMIT_RTTIME == 15);
  return names;
}

std::optional<int> rlimit_number(std::string_view name) {
  const auto names = rlimit_names();
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<int>(found - names.begin());
}

}  // namespace orlop::config
