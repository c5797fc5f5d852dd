// Where the keys of one table were written, so that what is found wrong after parsing can still name line and column.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop::config {

/// Maps a key relative to its table (`resources.memory.max`) to the place of its value; the empty key is the table
/// itself. Two Places are always equal: where a thing is written is no part of what it says.
class Places {
 public:
  void note(std::string_view key, Place place) { places_.insert_or_assign(std::string(key), std::move(place)); }
  /// Whether the file writes `key`: a value equal to the default counts.
  [[nodiscard]] bool wrote(std::string_view key) const { return places_.contains(key); }
  /// The place of `key`, or of the table when the key is not written; empty for data that no file made.
  [[nodiscard]] Place of(std::string_view key) const {
    const auto found = places_.find(key);
    if (found != places_.end()) return found->second;
    const auto table = places_.find(std::string_view{});
    return table == places_.end() ? Place{} : table->second;
  }
  friend bool operator==(const Places&, const Places&) { return true; }

 private:
  std::map<std::string, Place, std::less<>> places_;
};

}  // namespace orlop::config
