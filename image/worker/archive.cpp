#include "image/worker/archive.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <clocale>
#include <new>

namespace orlop::image {

la_ssize_t Archive::read(archive* a, void* data, const void** buffer) {
  auto* state = static_cast<State*>(data);
  Result<std::string_view> bytes = state->pull();
  if (!bytes) {
    archive_set_error(a, EIO, "cannot read");
    state->error = std::move(bytes).error();
    return ARCHIVE_FATAL;
  }
  *buffer = bytes->data();
  return static_cast<la_ssize_t>(bytes->size());
}

Result<Archive> Archive::open(Shape shape, Pull pull) {
  // libarchive takes names of pax headers through the locale; with UTF-8 they come out byte for byte.
  if (std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr)
    return fail(ErrorKind::unsupported, "this host's C library has no locale 'C.UTF-8'");
  Archive result;
  result.state_ = std::make_unique<State>(State{.pull = std::move(pull), .error = {}});
  result.archive_.reset(archive_read_new());
  archive* const a = result.archive_.get();
  if (a == nullptr) throw std::bad_alloc();
  int status = ARCHIVE_OK;
  if (shape == Shape::tar) {
    status = archive_read_support_format_tar(a);
  } else {
    status = archive_read_support_format_raw(a);
    if (status == ARCHIVE_OK)
      status = archive_read_append_filter(a, shape == Shape::gzip ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_ZSTD);
  }
  if (status == ARCHIVE_OK) status = archive_read_open(a, result.state_.get(), nullptr, &Archive::read, nullptr);
  if (status != ARCHIVE_OK) return result.refusal("cannot begin to read");
  return result;
}

Result<archive_entry*> Archive::next_header() {
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(archive_.get(), &entry);
  if (status == ARCHIVE_EOF) return nullptr;
  if (status == ARCHIVE_OK) return entry;
  return refusal("bad header");
}

Result<Archive::Block> Archive::next_block() {
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  for (;;) {
    const int status = archive_read_data_block(archive_.get(), &bytes, &size, &offset);
    if (status == ARCHIVE_EOF) return Block{};
    if (status != ARCHIVE_OK || offset < 0) return refusal("bad content");
    if (size > 0)
      return Block{.bytes = {static_cast<const char*>(bytes), size}, .offset = static_cast<std::uint64_t>(offset)};
  }
}

std::unexpected<Error> Archive::refusal(std::string_view doing) {
  if (state_->error) return std::unexpected(std::move(*state_->error));
  const char* words = archive_error_string(archive_.get());
  return fail(ErrorKind::corrupt, fmt::format("{}: {}", doing, words != nullptr ? words : "not of this format"));
}

}  // namespace orlop::image
