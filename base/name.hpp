// The one pattern that names of containers, volumes and hosts follow.
#pragma once

#include <string_view>

namespace orlop {

/// Whether `name` is 1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit (a DNS label, RFC 1123).
/// What passes is safe as a file name, a cgroup name and a bus object path element after escaping '-'.
bool is_valid_name(std::string_view name);
/// The pattern, in the words of an error message.
inline constexpr std::string_view name_rule =
    "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit";

}  // namespace orlop
