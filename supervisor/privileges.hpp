// What orlopd itself may do: root, but with the capabilities that its work needs and no others.
#pragma once

#include "base/error.hpp"

namespace orlop::supervisor {

/// Gives up every capability but those of the list in privileges.cpp, for this thread and all that it makes. Containers
/// get theirs from their own user namespaces and are not touched by it. Source: capabilities(7).
Result<void> drop_privileges();

}  // namespace orlop::supervisor
