#include "base/fd.hpp"

#include <unistd.h>

namespace orlop {

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) (void)::close(fd_);  // an error of close has no remedy here; data that must survive was synced before
  fd_ = fd;
}

}  // namespace orlop
