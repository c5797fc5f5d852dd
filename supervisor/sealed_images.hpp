// Sealed images as containers get them: each attached once in orlopd's mount view and cloned for every start.
#pragma once

#include <map>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "image/store.hpp"
#include "sandbox/id_range.hpp"

namespace orlop::supervisor {

/// User namespaces for idmapped mounts, one for each pair of ranges, made at first use.
class IdmapNamespaces {
 public:
  /// The namespace that shows `inside` and the ids after it as `range`.
  Result<BorrowedFd> get(sandbox::IdRange range, std::uint32_t inside = 0);

 private:
  std::map<std::pair<std::uint32_t, std::uint32_t>, UniqueFd> made_;
};

class SealedImages {
 public:
  /// `root` is orlopd's mount view, in which `/images` is; borrowed.
  SealedImages(const image::Store& store, BorrowedFd root) : store_(store), root_(root) {}

  /// A detached, read-only clone of the image, its ids shown as those of `range`.
  Result<UniqueFd> clone(const image::Record& record, sandbox::IdRange range, IdmapNamespaces& idmaps);
  /// Whether the image has the absolute path `target` as a directory, without a link on the way.
  bool holds_directory(const image::Record& record, const std::string& target);
  /// Detaches what `clone` attached, so that the file can go. Running containers keep their own clones.
  Result<void> detach(const image::Record& record);

 private:
  Result<BorrowedFd> attached(const image::Record& record);

  const image::Store& store_;
  BorrowedFd root_;
  std::map<Sha256, UniqueFd> attached_;  ///< by the digest of the seal
};

}  // namespace orlop::supervisor
