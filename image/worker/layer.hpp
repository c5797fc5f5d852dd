// One layer: a blob, unpacked, verified, read as a tar archive and applied to the tree. Streams from end to end; memory
// does not grow with the layer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "image/worker/archive.hpp"
#include "image/worker/limits.hpp"
#include "image/worker/manifest.hpp"
#include "image/worker/source.hpp"
#include "image/worker/tree.hpp"

namespace orlop::image {

/// What all layers of one intake may still use.
struct Budget {
  std::uint64_t unpacked_bytes = 0;
  std::uint64_t entries = 0;
};

/// What the name of a layer's entry asks for (OCI image spec, "Image Layer Filesystem Changeset").
struct EntryName {
  enum class Kind : std::uint8_t {
    plain,
    whiteout,  ///< hides `path` of lower layers
    opaque,    ///< hides what lower layers have in the directory `path`
    ignored,   ///< bookkeeping of a file system that some layers carry along (".wh..wh.…")
  };
  Kind kind = Kind::plain;
  std::string path;  ///< relative and normal; empty: the root

  friend bool operator==(const EntryName&, const EntryName&) = default;
};

/// Reads an entry's name. corrupt/… for an absolute one, one with "..", one with NUL, a whiteout of nothing, of ".",
/// ".." or in the middle; limit/… for one too long or too deep.
Result<EntryName> parse_entry_name(std::string_view written);

/// Applies the tar archive that `tar` yields to `tree`. An error names the entry. For fuzzing, too.
Result<void> apply_archive(Pull tar, Tree& tree, Budget& budget);

/// Applies `layer` to `tree`, and has verified blob, size and `diff_id` when it returns without error. limit/… when it
/// grows beyond `budget` or `limits.ratio`.
Result<void> apply_layer(const Source& source, const Layer& layer, const Sha256& diff_id, Tree& tree, Budget& budget,
                         const Limits& limits);

}  // namespace orlop::image
