// Keeps a flood of like records from filling the audit log: pure, the caller brings the time.
//
// - An allowed change of a client is always a line of its own.
// - The rest (refusals, and what orlop does by itself) is a line the first time; repeats of the same actor, act,
// object,
//   reason and verdict within a minute become one line with their count.
// - Refusals are also bounded by uid: beyond `denials_per_minute` lines, whatever they ask for, one line with a count.
// All tables are bounded; what they cannot hold is counted under the one who made them overflow, never lost.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/time.hpp"
#include "supervisor/audit/record.hpp"

namespace orlop::audit {

class Condenser {
 public:
  static constexpr std::uint32_t denials_per_minute = 30;
  static constexpr std::size_t max_kinds = 1024;
  static constexpr std::size_t max_uids = 256;

  /// Whether `record` is to be written now. false: it has been counted, and will come out of due().
  bool admit(const Record& record, BootTime now);
  /// The counts whose minute is over, as records to write.
  std::vector<Record> due(BootTime now);
  /// When due() has something to give; nothing while no count waits. Idle tables need no wake-up.
  [[nodiscard]] std::optional<BootTime> next_due() const;

 private:
  using Key = std::tuple<std::int64_t, std::string, std::string, std::string,
                         Verdict>;  ///< uid (-1: orlop), act, object, reason, verdict
  struct Kind {
    Record counted;  ///< repeats: how many were not written
    BootTime until;
  };
  struct Uid {
    std::uint32_t lines = 0;
    std::uint64_t uncounted = 0;
    BootTime until;
  };
  void take_expired(BootTime now);
  /// Whether one more line of refusals may be written for `uid`; if not, it is counted.
  bool admit_denial(std::int64_t uid, bool can_track, BootTime now);

  std::map<Key, Kind> kinds_;
  std::map<std::int64_t, Uid> uids_;
  std::vector<Record> over_;  ///< counts whose minute is over, not yet asked for
};

}  // namespace orlop::audit
