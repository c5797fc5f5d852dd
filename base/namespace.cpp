#include "base/namespace.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/sys.hpp"

namespace orlop::sys {

Result<UniqueFd> current_namespace(int type) {
  return open(type == CLONE_NEWPID ? "/proc/thread-self/ns/pid_for_children" : "/proc/thread-self/ns/net", O_RDONLY);
}

Result<WithinNamespace> WithinNamespace::enter(BorrowedFd where, int type) {
  Result<UniqueFd> home = current_namespace(type);
  if (!home) return fail(std::move(home), "cannot enter a namespace");
  if (Result<void> entered = setns(where, type); !entered) return fail(std::move(entered), "cannot enter a namespace");
  return WithinNamespace(std::move(*home), type);
}

Result<WithinNamespace> WithinNamespace::enter_new(int type) {
  Result<UniqueFd> home = current_namespace(type);
  if (!home) return fail(std::move(home), "cannot make a namespace");
  if (::unshare(type) != 0) return fail_errno(errno, "unshare", "cannot make a namespace");
  return WithinNamespace(std::move(*home), type);
}

WithinNamespace::~WithinNamespace() {
  if (home_ && !setns(home_, type_)) {
    static constexpr char message[] = "orlop: cannot leave a namespace\n";
    (void)!::write(STDERR_FILENO, message, sizeof message - 1);
    std::abort();
  }
}

}  // namespace orlop::sys
