#include "cli/verbs/log_follow.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace orlop::cli {

Result<LogWatch> LogWatch::make() {
  UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return fail_errno(errno, "inotify_init1", "cannot follow a log");
  return LogWatch(std::move(inotify));
}

Result<void> LogWatch::add(const logs::Source& source) {
  for (const auto& stream : source.streams)
    for (const logs::Generation& generation : stream)
      for (const int fd : {generation.log.get(), generation.index.get()})
        if (::inotify_add_watch(inotify_.get(), fmt::format("/proc/self/fd/{}", fd).c_str(), IN_MODIFY) < 0)
          return fail_errno(errno, "inotify_add_watch", "cannot follow a log");
  return {};
}

Result<bool> LogWatch::wait(std::optional<std::chrono::milliseconds> timeout) {
  pollfd watched{.fd = inotify_.get(), .events = POLLIN, .revents = 0};
  const int ready = ::poll(&watched, 1, timeout ? static_cast<int>(timeout->count()) : -1);
  if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll", "cannot wait for a log");
  alignas(inotify_event) std::array<char, 16384> events;
  while (::read(inotify_.get(), events.data(), events.size()) > 0) {
  }  // which file grew does not matter: the reader looks at all
  return ready > 0;
}

}  // namespace orlop::cli
