// What a Tree keeps open for as long as it or a Group of it lives: one directory a hierarchy, not one a container.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "cgroups/facts.hpp"

namespace orlop::cgroups {

/// One v1 hierarchy in use.
struct V1Handles {
  std::vector<Controller> controllers;
  std::string all;      ///< see V1Hierarchy
  UniqueFd parent;      ///< holds orlop-…
  UniqueFd containers;  ///< orlop-…/c
};

struct TreeHandles {
  std::string name;     ///< orlop-…
  UniqueFd parent;      ///< holds orlop-…, on cgroup2
  UniqueFd own;         ///< orlop-…
  UniqueFd containers;  ///< orlop-…/c
  std::vector<V1Handles> v1;
  UniqueFd device_filter;  ///< the loaded program; none when Facts say so
  Facts facts;

  /// The directory that holds the leaves where `controller` lives.
  [[nodiscard]] BorrowedFd containers_of(Controller controller) const {
    for (const V1Handles& hierarchy : v1)
      if (std::ranges::find(hierarchy.controllers, controller) != hierarchy.controllers.end())
        return hierarchy.containers;
    return containers;
  }
};

}  // namespace orlop::cgroups
