// From a tree to one EROFS file: by mkfs.erofs, the same bytes for the same tree on every host.
#pragma once

#include <string>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/size.hpp"

namespace orlop::image {

struct Seal {
  Sha256 digest;
  Bytes size;
};

/// Writes the directory `tree` of `directory` as `file` beside it, which must not exist, and syncs it.
/// unsupported/… without mkfs.erofs; internal/… with its last words when it fails.
Result<Seal> seal_tree(BorrowedFd directory, const std::string& tree, const std::string& file);

}  // namespace orlop::image
