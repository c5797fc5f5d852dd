// Landlock access rights by what a mount gives, and which of them a kernel knows (landlock(7), "Landlock rights").
// Debian 12's header ends at ABI 2; the rights after it are named here.
#pragma once

#include <linux/landlock.h>

#include <cstdint>

namespace orlop::sandbox {

inline constexpr std::uint64_t access_truncate = 1ULL << 14;  // LANDLOCK_ACCESS_FS_TRUNCATE, ABI 3
inline constexpr std::uint64_t access_ioctl = 1ULL << 15;     // LANDLOCK_ACCESS_FS_IOCTL_DEV, ABI 5
inline constexpr std::uint64_t access_execute = LANDLOCK_ACCESS_FS_EXECUTE;
inline constexpr std::uint64_t access_read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
inline constexpr std::uint64_t access_write_file = LANDLOCK_ACCESS_FS_WRITE_FILE | access_truncate;
/// Everything that changes a writable mount. Device nodes are never among it.
inline constexpr std::uint64_t access_write =
    access_write_file | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
    LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;

/// All rights that a kernel of this ABI can refuse; 0 without Landlock.
constexpr std::uint64_t handled_access(int abi) {
  if (abi < 1) return 0;
  std::uint64_t handled = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
  if (abi >= 2) handled |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) handled |= access_truncate;
  if (abi >= 5) handled |= access_ioctl;
  return handled;
}

}  // namespace orlop::sandbox
