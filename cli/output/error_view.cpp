#include "cli/output/error_view.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string.h>

#include <cstdio>

namespace orlop::cli {

Error with_remedy_apart(Error error) {
  constexpr std::string_view mark = "\n  remedy: ";
  if (error.chain.size() != 1 || !error.remedy.empty()) return error;
  std::string& text = error.chain.front();
  const std::size_t at = text.find(mark);
  if (at == std::string::npos || text.find('\n', at + mark.size()) != std::string::npos) return error;
  error.remedy = text.substr(at + mark.size());
  text.resize(at);
  return error;
}

std::string error_text(const Error& error, const Terminal& terminal) {
  return terminal.paint("orlop:", Colour::red) + ' ' + escape_lines(text(error)) + '\n';
}

Json error_json(const Error& error) {
  Json json = {{"kind", to_string(error.kind)}, {"message", fmt::format("{}", fmt::join(error.chain, ": "))}};
  if (error.errno_value != 0) {
    const char* name = ::strerrorname_np(error.errno_value);
    json["call"] = error.call;
    json["errno"] = name != nullptr ? Json(name) : Json(error.errno_value);
  }
  if (error.place)
    json["place"] = {{"file", error.place->file},
                     {"line", error.place->line},
                     {"column", error.place->column},
                     {"key", error.place->key}};
  if (!error.remedy.empty()) json["remedy"] = error.remedy;
  return json;
}

Json errors_json(std::span<const Error> errors, const std::string& summary) {
  Json list = Json::array();
  for (const Error& error : errors) list.push_back(error_json(error));
  return {{"error", {{"kind", to_string(ErrorKind::config)}, {"message", summary}, {"errors", std::move(list)}}}};
}

void report(const Error& error, bool json) {
  if (json)
    fmt::print("{}", printed({{"error", error_json(error)}}));
  else
    fmt::print(stderr, "{}", error_text(error, Terminal::of(stderr)));
}

}  // namespace orlop::cli
