// Where the bytes of an image layout come from: a directory, or a plain tar archive of one. Either is read in place;
// nothing is copied, nothing outside of it is opened, no link in it is followed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/size.hpp"

namespace orlop::image {

/// A run of bytes of an open regular file.
struct Extent {
  UniqueFd file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

class Source {
 public:
  /// A layout that is the directory `fd`.
  static Source directory(UniqueFd fd);
  /// A layout inside the tar archive `fd`, a regular file. Reads all its headers. corrupt/… when it is no tar archive,
  /// holds a name twice or a sparse file; limit/… for over 10,000 entries.
  static Result<Source> archive(UniqueFd fd);

  /// The file `name` of the layout, such as "index.json". not_found/… when there is none.
  [[nodiscard]] Result<Extent> open(const std::string& name) const;

 private:
  struct Run {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  UniqueFd fd_;
  bool archive_ = false;
  std::map<std::string, Run, std::less<>> runs_;  // of an archive
};

/// How an image document names a blob (OCI image spec, "Content Descriptors").
struct BlobId {
  Sha256 digest;
  std::uint64_t size = 0;

  friend bool operator==(const BlobId&, const BlobId&) = default;
};

/// Reads a blob from its beginning to its end, and vouches for it only there: the last call of next() fails unless size
/// and SHA-256 are those of its id.
class BlobReader {
 public:
  /// corrupt/… naming the blob when it is missing, short or long.
  static Result<BlobReader> open(const Source& source, const BlobId& id);

  /// The next bytes, valid until the next call; empty at the verified end.
  Result<std::string_view> next();
  /// Bytes read so far.
  [[nodiscard]] std::uint64_t position() const { return position_; }

 private:
  BlobReader(Extent extent, const BlobId& id);

  Extent extent_;
  BlobId id_;
  std::uint64_t position_ = 0;
  Sha256Stream hash_;
  std::vector<char> buffer_;
};

/// A whole verified blob of at most `max`.
Result<std::string> read_blob(const Source& source, const BlobId& id, Bytes max);
/// A whole file of the layout of at most `max`, such as "index.json".
Result<std::string> read_member(const Source& source, const std::string& name, Bytes max);

}  // namespace orlop::image
