#include "cli/output/json.hpp"

namespace orlop::cli {
namespace {

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return fail(ErrorKind::unsupported, "the supervisor's answer is not the JSON that this version knows",
                "the supervisor and this program are of different versions");
  return json;
}

std::string printed(const Json& json) {
  return json.dump(2, ' ', true, Json::error_handler_t::replace) + '\n';
}

std::string text_at(const Json& object, const char* key) {
  const Json* found = member(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::int64_t> number_at(const Json& object, const char* key) {
  const Json* found = member(object, key);
  return found != nullptr && found->is_number_integer() ? std::optional(found->get<std::int64_t>()) : std::nullopt;
}

bool flag_at(const Json& object, const char* key) {
  const Json* found = member(object, key);
  return found != nullptr && found->is_boolean() && found->get<bool>();
}

const Json& list_at(const Json& object, const char* key) {
  static const Json none = Json::array();
  const Json* found = member(object, key);
  return found != nullptr && found->is_array() ? *found : none;
}

}  // namespace orlop::cli
