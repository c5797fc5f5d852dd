#include "image/worker/users.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "image/path.hpp"

namespace orlop::image {
namespace {

std::optional<std::uint64_t> number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// A name that can be shown and written in a host file: no separator of these files, nothing unprintable.
bool is_account_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 &&
         std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~' && c != ':' && c != ','; });
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint32_t> id(std::string_view digits) {
  const std::optional<std::uint64_t> value = number(digits);
  if (!value || *value >= id_limit) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

// Calls `keep` with the fields of each line that has at least `min_fields`, a sound name and a fresh one.
template <class Keep>
bool read_lines(std::string_view text, std::size_t min_fields, Keep keep) {
  std::set<std::string, std::less<>> seen;
  bool whole = true;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.starts_with('#')) continue;
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < min_fields || !is_account_name(fields[0])) {
      whole = false;
      continue;
    }
    if (seen.size() >= max_accounts) return false;
    if (seen.emplace(fields[0]).second && !keep(fields)) whole = false;
  }
  return whole;
}

}  // namespace

Accounts parse_accounts(std::string_view passwd, std::string_view group) {
  Accounts accounts;
  const bool users = read_lines(passwd, 4, [&](const std::vector<std::string_view>& fields) {
    const std::optional<std::uint32_t> uid = id(fields[2]);
    const std::optional<std::uint32_t> gid = id(fields[3]);
    if (!uid || !gid) return false;
    accounts.users.push_back({.name = std::string(fields[0]), .uid = *uid, .gid = *gid});
    return true;
  });
  const bool groups = read_lines(group, 3, [&](const std::vector<std::string_view>& fields) {
    const std::optional<std::uint32_t> gid = id(fields[2]);
    if (!gid) return false;
    accounts.groups.push_back({.name = std::string(fields[0]), .gid = *gid});
    return true;
  });
  accounts.cut = !users || !groups;
  return accounts;
}

Result<Identity> resolve_user(std::string_view written, const Accounts& accounts) {
  const std::vector<std::string_view> parts = split(written, ':');
  const std::string shown = printable(written);
  if (parts.size() > 2 || parts[0].empty() || (parts.size() == 2 && parts[1].empty()))
    return fail(ErrorKind::config, fmt::format("'{}' is not a user", shown), "write UID, UID:GID, NAME or NAME:GROUP");
  Identity identity;
  identity.written = std::string(written);
  const auto user = std::ranges::find(accounts.users, parts[0], &User::name);
  if (user != accounts.users.end()) {
    identity.uid = user->uid;
    identity.gid = user->gid;
  } else if (const std::optional<std::uint64_t> uid = number(parts[0]); uid) {
    if (*uid >= id_limit) return fail(ErrorKind::limit, fmt::format("the uid {} is not below {}", *uid, id_limit));
    identity.uid = static_cast<std::uint32_t>(*uid);
    const auto account = std::ranges::find(accounts.users, identity.uid, &User::uid);
    if (account != accounts.users.end()) identity.gid = account->gid;
  } else {
    return fail(ErrorKind::not_found, fmt::format("user '{}': no such name in the image's /etc/passwd", shown));
  }
  if (parts.size() == 2) {
    const auto group = std::ranges::find(accounts.groups, parts[1], &Group::name);
    if (group != accounts.groups.end()) {
      identity.gid = group->gid;
    } else if (const std::optional<std::uint64_t> gid = number(parts[1]); gid) {
      if (*gid >= id_limit) return fail(ErrorKind::limit, fmt::format("the gid {} is not below {}", *gid, id_limit));
      identity.gid = static_cast<std::uint32_t>(*gid);
    } else {
      return fail(ErrorKind::not_found, fmt::format("user '{}': no such name in the image's /etc/group", shown));
    }
  }
  return identity;
}

}  // namespace orlop::image
