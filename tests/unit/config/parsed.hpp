// What the tests of this room share: a host file in, a Host or the words of its errors out.
#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config/parse.hpp"

namespace orlop::config {

inline constexpr std::string_view broker_image =
    "registry.example.net/gateway/broker@sha256:9b2e4c7d1f0a3b5c6d7e8f901a2b3c4d5e6f708192a3b4c5d6e7f80912a3b4c5";

/// `[container.web]` with an image and `keys`.
inline std::string web(std::string_view keys) {
  return "[container.web]\nimage = \"" + std::string(broker_image) + "\"\n" + std::string(keys) + "\n";
}

inline Host good(std::string_view text) {
  auto host = parse(text, "host.toml");
  if (!host)
    for (const Error& error : host.error()) UNSCOPED_INFO(orlop::text(error));
  REQUIRE(host);
  return *std::move(host);
}

inline Container good_web(std::string_view keys) {
  return good(web(keys)).containers.at("web");
}

/// Each error as one line: `LINE:COLUMN KEY: FACT (REMEDY)`.
inline std::vector<std::string> errors(std::string_view text) {
  std::vector<std::string> out;
  const auto host = parse(text, "host.toml");
  if (host) return out;
  for (const Error& error : host.error()) {
    REQUIRE(error.kind == ErrorKind::config);
    REQUIRE(error.place);
    CHECK(error.place->file == "host.toml");
    CHECK(error.place->line > 0);
    CHECK(error.place->column > 0);
    CHECK_FALSE(error.remedy.empty());
    out.push_back(std::to_string(error.place->line) + ":" + std::to_string(error.place->column) + " " +
                  error.place->key + ": " + sentence(error) + " (" + error.remedy + ")");
  }
  return out;
}

/// The only error of a file with `keys` in [container.web] from its third line on.
inline std::string web_error(std::string_view keys) {
  const std::vector<std::string> all = errors(web(keys));
  for (const std::string& line : all) UNSCOPED_INFO(line);
  INFO("keys: " << keys);
  REQUIRE(all.size() == 1);
  return all.front();
}

}  // namespace orlop::config
