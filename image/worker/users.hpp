// The image's own accounts: /etc/passwd and /etc/group as text, and who a written user is by them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "image/record.hpp"

namespace orlop::image {

struct Accounts {
  std::vector<User> users;
  std::vector<Group> groups;
  bool cut = false;  ///< lines were left out: too many, ids not below 65,536, or malformed

  friend bool operator==(const Accounts&, const Accounts&) = default;
};

/// Reads passwd(5) and group(5); either may be empty. The first line of a name counts, as with getpwnam(3).
Accounts parse_accounts(std::string_view passwd, std::string_view group);

/// Who `written` is: "uid", "uid:gid", "name", "name:group", "uid:group", "name:gid", as Docker reads them: a word of
/// digits is a number unless an account has that name; without a group it is the account's own, and 0 for a number
/// without an account. not_found/… for a name that no line has; config/… for what is none of these forms.
Result<Identity> resolve_user(std::string_view written, const Accounts& accounts);

}  // namespace orlop::image
