// The bounds of one intake. Defaults are orlop's; tests lower them.
#pragma once

#include <cstdint>

#include "base/size.hpp"
#include "image/staging.hpp"

namespace orlop::image {

struct Limits {
  Bytes document{max_manifest_bytes};  ///< an index, a manifest, a config: each
  int index_depth = 2;                 ///< indexes below index.json, one in another
  int documents = 64;                  ///< indexes read in all
  std::size_t layers = 256;

  Bytes unpacked = 4_GiB;             ///< of all layers' archives, and of the holes of sparse files
  std::uint64_t ratio = 200;          ///< unpacked to packed, of one layer…
  Bytes ratio_from = 16_MiB;          ///< …once this much came out of it: small layers of zeros are common
  std::uint64_t entries = 1'000'000;  ///< of all layers
};

}  // namespace orlop::image
