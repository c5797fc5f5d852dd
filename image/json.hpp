// Strict reading of JSON that others wrote: a key twice in an object, deep nesting, a flood of values and bad UTF-8 are
// refused, since two readers could take them differently (CVE-2021-41190) or pay for them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace orlop::image {

using Json = nlohmann::json;

/// Levels of objects and arrays, and values of all kinds, in one text at most.
inline constexpr int max_json_depth = 16;
inline constexpr std::size_t max_json_values = 100'000;

/// The value that `text` holds. corrupt/… for what is not JSON or holds a key twice, limit/… for the bounds above.
Result<Json> parse_json(std::string_view text);
/// The value as text; bytes that are not UTF-8 become U+FFFD.
std::string print_json(const Json& value);

/// Reads the members of one object. The first thing wrong is kept and done() tells it; after that, and for members that
/// may be absent, getters return an empty value. `null` counts as absent. No text may hold NUL.
class Fields {
 public:
  enum class Absent : std::uint8_t { refused, allowed };

  /// `where` names the object in messages. Borrows `object`.
  Fields(const Json& object, std::string where, Absent absent);

  std::string text(const char* key);
  std::vector<std::string> texts(const char* key);
  /// A whole number from 0 to `max`.
  std::uint64_t number(const char* key, std::uint64_t max);
  /// The member if it is an object or, respectively, an array; nullptr otherwise.
  const Json* object(const char* key);
  const Json* array(const char* key);
  [[nodiscard]] bool has(const char* key) const;

  /// Refuses members that no getter asked for.
  void refuse_others();
  /// Notes a failure of the caller's own about `key`, if it is the first.
  void refuse(const char* key, std::string_view why);
  /// corrupt/… with the first thing wrong.
  [[nodiscard]] Result<void> done() const;

 private:
  const Json* find(const char* key);

  const Json& object_;
  std::string where_;
  Absent absent_;
  std::set<std::string, std::less<>> asked_;
  std::string wrong_;
};

}  // namespace orlop::image
