// The store: one directory (0700) of sealed images. What is in it is whole, always.
//
//   sha256-MANIFEST.json   the record of an image: the image is in the store if and only if this file is
//   SEAL.erofs             a sealed file, named by its own SHA-256; a record names it
//   intake-N/              where a worker works; nothing else ever writes below it
//
// What a worker says is checked where orlopd can: a sealed file has the digest that its name says, a manifest that of
// its bytes. A sealed file that is there is never written over.
//
// A kill at any instant leaves at most an intake directory or a sealed file without a record; open() removes them.
// Every call may wait for the disk: not for orlopd's loop, but for its writer thread. One process has a store open.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "image/record.hpp"

namespace orlop::image {

/// A worker's own directory in the store.
struct Intake {
  std::string name;
  UniqueFd directory;
};

struct Listing {
  std::vector<Record> images;  ///< by name, then digest
  std::vector<Error> broken;   ///< records that are torn, foreign or newer; they and their seals stay untouched
};

/// Whether an image that the store has may be sealed or described anew.
enum class Replace : std::uint8_t { refused, allowed };

class Store {
 public:
  /// Takes `directory` and removes what killed intakes left.
  static Result<Store> open(UniqueFd directory);

  /// A fresh empty directory for a worker whose root has the host ids `uid` and `gid`.
  Result<Intake> begin(uid_t uid, gid_t gid);
  /// Takes over what the worker left in `intake`: checks the record, and the digests of the manifest and the sealed
  /// file against it, syncs, and makes the files the image's. An image that is there already may get another name; with
  /// Replace::allowed it may change altogether, else that is conflict/…. Removes the intake in any case, and on failure
  /// changes nothing else. Reads the whole sealed file.
  /// @pre no process of the worker is left
  Result<Record> adopt(Intake intake, Replace replace);
  /// Removes an intake that came to nothing.
  Result<void> abandon(Intake intake);

  [[nodiscard]] Result<Listing> list() const;
  /// The image with the manifest `digest`. not_found/… when there is none.
  [[nodiscard]] Result<Record> find(const Sha256& digest) const;
  /// The one image that `written` names: NAME@sha256:DIGEST (the digest decides), sha256:DIGEST or the beginning of it
  /// from 6 digits up, or NAME. not_found/…, or conflict/… naming the candidates.
  [[nodiscard]] Result<Record> find(std::string_view written) const;
  /// The sealed file of an image, for mount_sealed(). corrupt/… when it is missing or has another size.
  [[nodiscard]] Result<UniqueFd> open_seal(const Record& record) const;
  /// Whether the sealed file still has the digest of its record: reads all of it. corrupt/… if not.
  [[nodiscard]] Result<void> verify(const Record& record) const;
  /// Removes an image. Whether it is in use is the caller's to know; a mount of it goes on.
  Result<void> remove(const Sha256& digest);

 private:
  explicit Store(UniqueFd directory) : directory_(std::move(directory)) {}
  Result<void> clear_leftovers();
  Result<void> remove_unused_seals();
  Result<Record> check(const Intake& intake, Replace replace) const;
  Result<Record> place(const Intake& intake, Replace replace);

  UniqueFd directory_;
  std::uint64_t next_intake_ = 0;
};

}  // namespace orlop::image
