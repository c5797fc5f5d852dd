// orlopd [--root DIR] [--cgroup-parent GROUP]
//
// The supervisor. Started by orlop-init, whose end of a socket pair is descriptor 3; of no use alone.
#include <fcntl.h>
#include <fmt/format.h>
#include <getopt.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "guardian/protocol.hpp"
#include "supervisor/supervisor.hpp"

namespace orlop::supervisor {
namespace {

Result<Options> parse_options(int argc, char** argv) {
  Options options;
  const option known[] = {{"root", required_argument, nullptr, 'r'},
                          {"cgroup-parent", required_argument, nullptr, 'c'},
                          {nullptr, 0, nullptr, 0}};
  opterr = 0;
  for (int chosen = 0; (chosen = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    if (chosen == 'r')
      options.root = optarg;
    else if (chosen == 'c')
      options.cgroup_parent = optarg;
    else
      return fail(ErrorKind::config, fmt::format("'{}' is not an option, or lacks its value", argv[optind - 1]),
                  "orlop-init [--root DIR] [--cgroup-parent GROUP]");
  }
  if (optind < argc) return fail(ErrorKind::config, fmt::format("'{}' is not expected", argv[optind]));
  if (!options.root.empty() && !options.root.starts_with('/'))
    return fail(ErrorKind::config, "--root needs an absolute path");
  while (options.root.size() > 1 && options.root.ends_with('/')) options.root.pop_back();
  return options;
}

int report(const Error& error) {
  fmt::print(stderr, "orlopd: {}\n", text(error));
  return error.kind == ErrorKind::config ? 2 : 1;
}

int supervise(int argc, char** argv) {
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // nobody but root looks into orlopd, and it leaves no core
  (void)::umask(0077);
  (void)::signal(SIGPIPE, SIG_IGN);  // a client or a child that is gone is an error of its write, not our end
  // The guardian's death sends SIGTERM; the end of its socket says the same, and is acted on from the loop.
  sigset_t quiet;
  (void)::sigemptyset(&quiet);
  (void)::sigaddset(&quiet, SIGTERM);
  (void)::sigprocmask(SIG_BLOCK, &quiet, nullptr);
  if (::fcntl(guardian::supervisor_socket_fd, F_GETFD) < 0)
    return report(
        fail(ErrorKind::config, "orlopd is started by orlop-init, and by nothing else", "start orlop-init").error());
  Result<Options> options = parse_options(argc, argv);
  UniqueFd socket(guardian::supervisor_socket_fd);
  if (!options) {  // the next orlopd would be given the same: this one ends its guardian too
    GuardianLink link(std::move(socket));
    if (link.take_back()) (void)link.stopping();
    return report(options.error());
  }
  Result<std::unique_ptr<Supervisor>> supervisor = Supervisor::create(*options, std::move(socket));
  if (!supervisor) return report(supervisor.error());
  const Result<int> status = (*supervisor)->run();
  if (!status) return report(status.error());
  return *status;
}

}  // namespace
}  // namespace orlop::supervisor

int main(int argc, char** argv) {
  try {
    return orlop::supervisor::supervise(argc, argv);
  } catch (const std::exception& unexpected) {  // of memory, or of a library: the guardian starts the next orlopd
    fmt::print(stderr, "orlopd: {}\n", unexpected.what());
    return 1;
  }
}
