// The directories of an instance, open; and the lock that keeps a second orlopd out.
//
//   /run     lock control.sock records/ERA/NAME.json
//   /state   host.toml starts records/NAME.json id-ranges images/ volumes/NAME/ audit/ audit-head.json
//   /logs    NAME/
//
// A record of a container is in /run, for the orlopd that comes next, and what an operator's word changed also in
// /state, for the next boot. Those in /run are never synced, so each life of a guardian (an era) has a folder of its
// own: what an earlier one left, perhaps through a power cut, is not read.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "supervisor/places.hpp"

namespace orlop::supervisor {

/// Makes the three places, each with its parents: 0700, and 0711 for `run`, where readers must reach the socket; and
/// takes the instance's lock in `places.run`, held for as long as the descriptor. Call it in the host's mount
/// namespace. conflict/… when another orlopd holds it; corrupt/… when a place is not a directory of root's.
Result<UniqueFd> lock_instance(const Places& places, bool successor);

struct Directories {
  UniqueFd run;
  UniqueFd run_records;
  UniqueFd state;
  UniqueFd state_records;
  UniqueFd images;
  UniqueFd volumes;
  UniqueFd audit;
  UniqueFd logs;

  /// Opens, and makes where they are missing, all of them below `root` (orlopd's mount view). `era` names the
  /// guardian's life; records of others are removed.
  static Result<Directories> open(BorrowedFd root, const std::string& era);
};

}  // namespace orlop::supervisor
