// Which id range belongs to whom, as the loop reads it. The ranges themselves are claimed on disk by the writer thread;
// what it hands back replaces this copy.
#pragma once

#include <map>
#include <string>

#include "sandbox/id_range.hpp"

namespace orlop::supervisor {

using IdMap = std::map<std::string, sandbox::IdRange>;

/// Owners in the instance's map.
inline std::string id_owner_of_container(const std::string& name) {
  return "container/" + name;
}
inline std::string id_owner_of_volume(const std::string& name) {
  return "volume/" + name;
}
/// All image workers share one range: each lives alone in its own namespaces, and what one leaves is removed before the
/// next.
inline constexpr const char* id_owner_of_image_worker = "worker/image";

}  // namespace orlop::supervisor
