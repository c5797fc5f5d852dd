#include "supervisor/audit/condense.hpp"

#include <algorithm>
#include <utility>

namespace orlop::audit {
namespace {

constexpr Duration minute = std::chrono::minutes(1);
constexpr std::int64_t orlop_itself = -1;
constexpr std::int64_t other_uids = -2;  // all that found the table of uids full

}  // namespace

bool Condenser::admit(const Record& record, BootTime now) {
  if (record.actor && record.verdict == Verdict::allowed) return true;
  take_expired(now);
  const std::int64_t uid = record.actor ? static_cast<std::int64_t>(record.actor->uid) : orlop_itself;
  const Key key{uid, record.what, record.object, record.why, record.verdict};
  if (const auto known = kinds_.find(key); known != kinds_.end()) {
    ++known->second.counted.repeats;
    return false;
  }
  const bool can_track = kinds_.size() < max_kinds;
  if (record.verdict == Verdict::denied && record.actor && !admit_denial(uid, can_track, now)) return false;
  if (!can_track) return true;  // orlop's own acts are bounded by its containers
  Record counted = record;
  counted.repeats = 0;
  kinds_.emplace(key, Kind{.counted = std::move(counted), .until = now + minute});
  return true;
}

bool Condenser::admit_denial(std::int64_t uid, bool can_track, BootTime now) {
  if (!uids_.contains(uid) && uids_.size() >= max_uids) uid = other_uids;
  Uid& of = uids_.try_emplace(uid, Uid{.lines = 0, .uncounted = 0, .until = now + minute}).first->second;
  if (can_track && of.lines < denials_per_minute) {
    ++of.lines;
    return true;
  }
  ++of.uncounted;
  return false;
}

void Condenser::take_expired(BootTime now) {
  std::erase_if(kinds_, [&](auto& entry) {
    if (entry.second.until > now) return false;
    if (entry.second.counted.repeats != 0) over_.push_back(std::move(entry.second.counted));
    return true;
  });
  std::erase_if(uids_, [&](auto& entry) {
    const auto& [uid, of] = entry;
    if (of.until > now) return false;
    if (of.uncounted != 0) {
      Record counted{.what = "denials", .object = "*", .why = "too many", .verdict = Verdict::denied};
      counted.repeats = of.uncounted;
      if (uid == other_uids) counted.why = "too many, of many users";
      if (uid != other_uids) counted.actor = Client{.uid = static_cast<uid_t>(uid)};
      over_.push_back(std::move(counted));
    }
    return true;
  });
}

std::vector<Record> Condenser::due(BootTime now) {
  take_expired(now);
  return std::exchange(over_, {});
}

std::optional<BootTime> Condenser::next_due() const {
  if (!over_.empty()) return BootTime{};
  std::optional<BootTime> first;
  const auto consider = [&](BootTime until) { first = std::min(first.value_or(until), until); };
  for (const auto& [key, kind] : kinds_)
    if (kind.counted.repeats != 0) consider(kind.until);
  for (const auto& [uid, of] : uids_)
    if (of.uncounted != 0) consider(of.until);
  return first;
}

}  // namespace orlop::audit
