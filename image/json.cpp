#include "image/json.hpp"

#include <fmt/format.h>

namespace orlop::image {

Result<Json> parse_json(std::string_view text) {
  std::vector<std::set<std::string>> keys;  // of each object that is open
  std::string twice;
  std::size_t values = 0;
  bool too_deep = false;
  // A callback that returns false drops the value, so that what is refused costs no memory. Once it did, the calls for
  // ends are no longer complete, and nothing is counted any more.
  const auto event = [&](int depth, Json::parse_event_t kind, Json& parsed) {
    if (too_deep || values > max_json_values) return false;
    switch (kind) {
      case Json::parse_event_t::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case Json::parse_event_t::array_start:
        too_deep = depth >= max_json_depth;
        ++values;
        break;
      case Json::parse_event_t::key: {
        const std::string* key = parsed.get_ptr<const std::string*>();
        if (key != nullptr && !keys.back().insert(*key).second && twice.empty()) twice = *key;
        break;
      }
      case Json::parse_event_t::object_end:
        keys.pop_back();
        break;
      case Json::parse_event_t::value:
        ++values;
        break;
      case Json::parse_event_t::array_end:
        break;
    }
    return !too_deep && values <= max_json_values;
  };
  Json value = Json::parse(text, event, /*allow_exceptions=*/false);
  if (too_deep) return fail(ErrorKind::limit, fmt::format("JSON nested deeper than {} levels", max_json_depth));
  if (values > max_json_values) return fail(ErrorKind::limit, fmt::format("JSON of over {} values", max_json_values));
  if (!twice.empty()) return fail(ErrorKind::corrupt, fmt::format("the key '{}' stands twice in one object", twice));
  if (value.is_discarded()) return fail(ErrorKind::corrupt, "this is not JSON");
  return value;
}

std::string print_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Fields::Fields(const Json& object, std::string where, Absent absent)
    : object_(object), where_(std::move(where)), absent_(absent) {
  if (!object_.is_object()) wrong_ = fmt::format("{} is not an object", where_);
}

bool Fields::has(const char* key) const {
  if (!object_.is_object()) return false;
  const auto found = object_.find(key);
  return found != object_.end() && !found->is_null();
}

const Json* Fields::find(const char* key) {
  asked_.emplace(key);
  if (!wrong_.empty()) return nullptr;
  if (has(key)) return &*object_.find(key);
  if (absent_ == Absent::refused) refuse(key, "is missing");
  return nullptr;
}

std::string Fields::text(const char* key) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  const std::string* string = value->get_ptr<const std::string*>();
  if (string == nullptr) return refuse(key, "is not a string"), std::string();
  if (string->contains('\0')) return refuse(key, "holds NUL"), std::string();
  return *string;
}

std::vector<std::string> Fields::texts(const char* key) {
  std::vector<std::string> strings;
  const Json* values = array(key);
  if (values == nullptr) return strings;
  for (const Json& value : *values) {
    const std::string* string = value.get_ptr<const std::string*>();
    if (string == nullptr) return refuse(key, "holds something that is not a string"), std::vector<std::string>();
    if (string->contains('\0')) return refuse(key, "holds NUL"), std::vector<std::string>();
    strings.push_back(*string);
  }
  return strings;
}

std::uint64_t Fields::number(const char* key, std::uint64_t max) {
  const Json* value = find(key);
  if (value == nullptr) return 0;
  const auto* number = value->get_ptr<const Json::number_unsigned_t*>();
  if (number == nullptr || *number > max)
    return refuse(key, fmt::format("is not a whole number from 0 to {}", max)), std::uint64_t{0};
  return *number;
}

const Json* Fields::object(const char* key) {
  const Json* value = find(key);
  if (value != nullptr && !value->is_object()) return refuse(key, "is not an object"), nullptr;
  return value;
}

const Json* Fields::array(const char* key) {
  const Json* value = find(key);
  if (value != nullptr && !value->is_array()) return refuse(key, "is not an array"), nullptr;
  return value;
}

void Fields::refuse_others() {
  if (!wrong_.empty()) return;
  for (const auto& [key, value] : object_.items())
    if (!asked_.contains(key)) return refuse(key.c_str(), "is not known here");
}

void Fields::refuse(const char* key, std::string_view why) {
  if (wrong_.empty()) wrong_ = fmt::format("{}: '{}' {}", where_, key, why);
}

Result<void> Fields::done() const {
  if (!wrong_.empty()) return fail(ErrorKind::corrupt, wrong_);
  return {};
}

}  // namespace orlop::image
