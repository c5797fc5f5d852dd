// All keys of host.toml, as the reference in docs/ lists them.
#pragma once

#include <vector>

#include "config/key.hpp"

namespace orlop::config {

/// Every key that the parser reads, parents before children. docs/host-file.md is held against this list.
std::vector<KeyDoc> schema();
/// Every key that the parser knows to belong to a later version, in the same form.
std::vector<std::string> later_keys();

}  // namespace orlop::config
