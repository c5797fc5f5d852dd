// One intake from beginning to end: choose, verify, unpack, add mount points, seal, write the record.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "image/record.hpp"
#include "image/worker/limits.hpp"
#include "image/worker/source.hpp"

namespace orlop::image {

struct Request {
  std::optional<std::string> reference = {};  ///< which image of the layout
  std::optional<std::string> name = {};       ///< what to call it
  std::string fallback_name = "image";        ///< if neither the operator nor the layout names it: the path's base name
  std::vector<std::string> mkdir = {};        ///< directories to add, as the operator wrote them
  Limits limits = {};
};

/// Seals the one image of `source` that `request` means into the three files of image/staging.hpp in the empty
/// directory `out`, and leaves nothing else there, on failure nothing at all. `progress` is told each step.
Result<Record> take_in(const Source& source, BorrowedFd out, const Request& request,
                       const std::function<void(std::string_view)>& progress);

}  // namespace orlop::image
