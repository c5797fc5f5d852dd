// Where one instance of orlop keeps its files. `--root DIR` moves all of it below DIR.
#pragma once

#include <string>

namespace orlop::supervisor {

struct Places {
  std::string run = "/run/orlop";        ///< what dies with the boot: records of starts, the control socket
  std::string state = "/var/lib/orlop";  ///< images, volumes, id ranges, the applied file, the audit record
  std::string logs = "/var/log/orlop";   ///< spools
};

/// The places of the instance in `root`; the host's own for an empty one.
inline Places places_of(const std::string& root) {
  if (root.empty()) return {};
  return {root + "/run", root + "/state", root + "/logs"};
}

/// The socket's name below Places::run.
inline constexpr const char* control_socket_name = "control.sock";

}  // namespace orlop::supervisor
