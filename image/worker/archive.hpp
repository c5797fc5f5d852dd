// libarchive with an owner: reading from a function that yields bytes, and errors as values.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop::image {

/// Yields the next bytes, valid until the next call; empty at the end.
using Pull = std::function<Result<std::string_view>()>;

class Archive {
 public:
  enum class Shape : std::uint8_t { tar, gzip, zstd };  ///< a tar archive; or one stream that was packed

  /// Reads what `pull` yields as `shape` and as nothing else. `pull` lives as long as this.
  static Result<Archive> open(Shape shape, Pull pull);

  /// The next header; nothing at the end. The entry is valid until the next call. corrupt/… for what libarchive refuses
  /// or warns of: a header that two readers could take differently is not guessed at.
  Result<archive_entry*> next_header();
  struct Block {
    std::string_view bytes;  ///< empty at the end
    std::uint64_t offset = 0;
  };
  /// The next bytes of the present entry and where they belong; gaps are holes.
  Result<Block> next_block();

 private:
  struct State {
    Pull pull;
    std::optional<Error> error;  // of pull: what libarchive then says is only its echo
  };
  struct Free {
    void operator()(archive* a) const noexcept { (void)archive_read_free(a); }
  };

  static la_ssize_t read(archive* a, void* state, const void** buffer);
  [[nodiscard]] std::unexpected<Error> refusal(std::string_view doing);

  std::unique_ptr<State> state_;
  std::unique_ptr<archive, Free> archive_;
};

}  // namespace orlop::image
