// From a sealed file to a mount: by the kernel's own reading of files where it can (6.12 and newer), else by a loop
// device. Which one is found by trying.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::image {

/// A detached, read-only, nodev, nosuid mount of the EROFS file `file`; it lives as long as its descriptor or a place
/// it is attached to. Needs CAP_SYS_ADMIN in the initial user namespace, and /proc.
Result<UniqueFd> mount_sealed(BorrowedFd file);

/// The two ways alone, for `doctor` and tests. kernel/ENOTBLK: this kernel does not mount files.
Result<UniqueFd> mount_file(BorrowedFd file);
/// The loop device is taken by its node in /dev and gives itself up with the last mount. unsupported/… when no free
/// device has a node.
Result<UniqueFd> mount_by_loop(BorrowedFd file);

}  // namespace orlop::image
