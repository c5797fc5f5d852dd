// Id ranges: 65,536 host ids for each container and each volume, never shared, never a host user's, kept with the
// owner.
//
// Two records. The instance's own map (owner → range) lies in its state directory; the host-wide claims (range → state
// directory) lie in one file that all instances change under one lock. A range is claimed first, then recorded, then
// used; given up in the opposite order. So a crash at any point leaves at worst a claim without a record, which the
// instance drops when it next opens its map.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::sandbox {

/// Ids in one range.
inline constexpr std::uint32_t id_range_size = 65'536;
/// The ids that may be given out: what systemd's uid table reserves for containers.
inline constexpr std::uint32_t first_container_id = 524'288;
inline constexpr std::uint32_t last_container_id = 1'879'048'191;

/// Host ids `first` to `first + 65,535`, for users and for groups. `first` is a multiple of 65,536.
struct IdRange {
  std::uint32_t first = 0;
  friend constexpr auto operator<=>(const IdRange&, const IdRange&) = default;
};

/// The ranges of one instance.
class IdRanges {
 public:
  /// Where the host keeps what all instances must agree on; tests have their own.
  struct Paths {
    std::string claims = "/var/lib/orlop-ids";  ///< directory of the file `claims`, made if it is not there
    std::string etc = "/etc";                   ///< of subuid, subgid, passwd and group
    std::string proc = "/proc";
  };

  /// Opens the map in `state_directory` (which lies at `state_path`, absolute), drops this instance's claims that never
  /// came to be recorded, and those of instances whose state directory is gone.
  /// Call it in the host's mount namespace, where a path that is not there is truly gone; later calls use descriptors.
  /// corrupt/… when the map or the claims hold what orlop does not write, or another instance claims a range of ours.
  static Result<IdRanges> open(BorrowedFd state_directory, std::string state_path, const Paths& paths);

  /// The range of `owner` ("container/web", "volume/data"): the one it has, or the lowest free one, on disk before this
  /// returns. A range is free if no instance claims it, /etc/subuid, subgid, passwd and group name no id in it, and no
  /// process runs with one. limit/… when none is left. A new range waits for the disk (four syncs): not a step of the
  /// loop.
  Result<IdRange> claim(const std::string& owner);
  /// Gives the range of `owner` up, to be given out again. Only when nothing owned by an id in it is left: no process,
  /// no file. Not an error if it has none.
  Result<void> release(const std::string& owner);

  [[nodiscard]] std::optional<IdRange> find(const std::string& owner) const;
  [[nodiscard]] const std::map<std::string, IdRange>& all() const { return ranges_; }

 private:
  IdRanges() = default;
  [[nodiscard]] Result<void> save(const std::map<std::string, IdRange>& ranges) const;

  UniqueFd state_;
  std::string state_path_;
  UniqueFd claims_;
  UniqueFd etc_;
  UniqueFd proc_;
  std::map<std::string, IdRange> ranges_;
};

/// Ids that a file of /etc gives to a host user.
struct TakenIds {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  friend bool operator==(const TakenIds&, const TakenIds&) = default;
};
/// Reads subuid(5) or subgid(5): `name:first:count`. A line of another form is passed over.
std::vector<TakenIds> parse_subordinate_ids(std::string_view text);
/// Reads the ids of passwd(5) or group(5): the third field, and in passwd the fourth.
std::vector<TakenIds> parse_account_ids(std::string_view text);

/// Maps the ids of the user namespace that the process `pid` was made with, users and groups: `inside` and the 65,535
/// after it to `range`. Returns its directory in /proc. `pidfd` is the process's: one that has ended is kernel/ESRCH,
/// and one that got its number since is not written to. Source: user_namespaces(7).
Result<UniqueFd> map_ids(pid_t pid, BorrowedFd pidfd, IdRange range, std::uint32_t inside = 0);

/// A user namespace that maps `inside` and the 65,535 ids after it to `range`, users and groups, for idmapped mounts:
/// made by a child that is gone when this returns. Costly (a quarter of a millisecond and more): once for each pair.
/// For a sealed root `inside` is 0; for a volume it is the first id of the volume's own range. Source:
/// user_namespaces(7).
Result<UniqueFd> make_userns(IdRange range, std::uint32_t inside = 0);

}  // namespace orlop::sandbox
