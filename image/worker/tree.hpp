// The tree that layers are applied to: every change of it goes through here, from its root's descriptor, a component
// at a time, following no link that the kernel resolves.
//
// Invariants:
// - Nothing outside of the root is opened, made, removed or changed, whatever names and links the layers hold.
// - An entry that the present layer made has the layer's number as its access time (seconds since 1970). So whiteouts,
//   which hide lower layers only, need no list of names in memory, and a million entries cost none. EROFS keeps no
//   access time.
// - A directory's modification time is what the image says, not when something was put into it.
//
// Links in the middle of an entry's name: one from a lower layer (/bin -> usr/bin under a later bin/tool) is resolved
// as the image itself would, its root being the top; one from the same layer is an attack (T42) and refused.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "image/worker/report.hpp"

namespace orlop::image {

enum class EntryType : std::uint8_t { regular, directory, symlink, fifo, hardlink, device, socket };

/// One entry of a layer, already with a name that is safe to walk: see parse_entry_name().
struct Entry {
  std::string path;  ///< relative, normal, no ".."; empty: the root itself
  EntryType type = EntryType::regular;
  mode_t mode = 0;         ///< 07777 at most
  std::uint64_t uid = 0;   ///< 65,536 and more is refused
  std::uint64_t gid = 0;   ///< likewise
  std::int64_t mtime = 0;  ///< seconds; kept within 0 and 2^32 - 1
  std::uint64_t size = 0;  ///< of a regular file
  std::string link = {};   ///< a symlink's text, or the path of a hardlink's target in the form of `path`
  std::vector<std::pair<std::string, std::string>> xattrs = {};
};

class Tree {
 public:
  /// Borrows `root`, an empty directory, and `report`.
  Tree(BorrowedFd root, Report& report) : root_(root), report_(report) {}

  /// Layers are numbered from 1 upwards.
  Result<void> begin_layer(int number);
  Result<void> end_layer();

  /// Makes `entry`, in the place of what is there; a directory over a directory only changes its attributes. Returns an
  /// open empty file for a regular one, which finish_file() must follow. Devices and sockets are dropped and reported.
  Result<std::optional<UniqueFd>> put(const Entry& entry);
  /// Gives a written file its size, owner, attributes, mode and times.
  Result<void> finish_file(BorrowedFd file, const Entry& entry);

  /// Removes what lower layers put at `path`, relative and normal; not an error if nothing is there.
  Result<void> whiteout(const std::string& path);
  /// Removes what lower layers put into the directory `path`.
  Result<void> opaque(const std::string& path);

  /// Makes the directory `path` (absolute, normal) and what is missing above it, 0755 (`mode` for itself) and root's.
  /// conflict/… when a link or file is in the way of a component.
  Result<void> add_directory(const std::string& path, mode_t mode = 0755);
  /// add_directory(), but a last component that is something else is removed and reported.
  Result<void> require_directory(const std::string& path, mode_t mode);
  /// A file 0644 with `content` at `path` unless a regular one is there; what else is there is removed and reported.
  Result<void> require_file(const std::string& path, std::string_view content);

 private:
  struct Parent {
    std::string path;  // as the entry wrote it
    UniqueFd fd;
    timespec atime{};  // restored when it is left
    timespec mtime{};
  };
  struct Place {
    BorrowedFd directory;
    std::string name;
  };

  Result<Place> place_of(const std::string& path, bool make);
  Result<UniqueFd> open_parent(const std::string& path, bool make);
  Result<std::string> resolve(const std::string& path);
  Result<void> make_room(const Place& place, bool keep_directory);
  Result<void> remove_older(BorrowedFd directory, const std::string& name);
  Result<void> remove_older_inside(BorrowedFd directory);
  Result<void> leave_parent();
  Result<void> put_directory(const Place& place, const Entry& entry);
  Result<void> put_attributes(BorrowedFd fd, const Entry& entry);
  Result<void> put_xattrs(BorrowedFd fd, const Entry& entry);
  [[nodiscard]] bool is_of_this_layer(const struct stat& status) const { return status.st_atim.tv_sec == layer_; }

  BorrowedFd root_;
  Report& report_;
  int layer_ = 0;
  std::optional<Parent> parent_;  // of the last entry: the next one is mostly beside it
};

}  // namespace orlop::image
