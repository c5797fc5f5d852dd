// Reading and writing whole files below a directory that is already open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop {

/// Whether a write must be on the disk before the call returns.
enum class Durability : std::uint8_t {
  until_reboot,  ///< rename only: for /run
  power_loss,    ///< fdatasync of the file before, fsync of the directory after the rename
};

/// The whole regular file `name` below `directory` (openat2 beneath); never waits for the other end of a FIFO. limit/…
/// when it is larger than `max_bytes`, corrupt/… when it is no regular file.
Result<std::string> read_file(BorrowedFd directory, const std::string& name, std::size_t max_bytes);
/// All bytes from the current offset of `fd`. limit/… when there are more than `max_bytes`.
Result<std::string> read_all(BorrowedFd fd, std::size_t max_bytes);
/// Replaces `name` below `directory` by `bytes`, whole or not at all: temporary file `.NAME.new`, rename. On failure
/// the old file stays.
Result<void> replace_file(BorrowedFd directory, const std::string& name, std::string_view bytes, Durability durability,
                          unsigned mode = 0600);
/// Writes all bytes to `fd`, going on after short writes and EINTR.
Result<void> write_all(BorrowedFd fd, std::string_view bytes);
/// Opens the directory `name` below `directory`, made with `mode` if it is not there. A link in its place is an error.
Result<UniqueFd> make_directory(BorrowedFd directory, const std::string& name, unsigned mode);
/// Removes `name` below `directory`; not an error if it is not there. A directory goes with all it holds, however deep,
/// with a few descriptors. Follows no link and crosses no mount: conflict/… names what is one. Others may have the tree
/// open, but must not move directories in it.
Result<void> remove_tree(BorrowedFd directory, const std::string& name);
/// Names in `directory`, without "." and "..", sorted.
Result<std::vector<std::string>> list_directory(BorrowedFd directory);

}  // namespace orlop
