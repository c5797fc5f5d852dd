#include "supervisor/control/interface.hpp"

#include <fmt/format.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>

using namespace orlop;
using namespace orlop::control;

namespace {

std::vector<std::string> lines_of_document() {
  std::ifstream file(DOCUMENT);
  REQUIRE(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The rows of the document's tables that begin with `first`, up to their last fixed column.
std::multiset<std::string> rows(const std::vector<std::string>& lines, std::string_view first, int columns) {
  std::multiset<std::string> found;
  for (const std::string& line : lines) {
    if (!line.starts_with(first)) continue;
    std::size_t end = 0;
    for (int i = 0; i <= columns; ++i) end = line.find('|', end) + 1;
    found.insert(line.substr(0, end));
  }
  return found;
}

std::string or_none(std::string_view signature) {
  return signature.empty() ? "–" : fmt::format("`{}`", signature);
}

}  // namespace

TEST_CASE("every method stands in the document with its signatures and role, and no other", "[control]") {
  std::multiset<std::string> expected;
  const auto expect = [&](const Method& method) {
    const std::string_view interface = method.interface;
    expected.insert(fmt::format("| `{}.{}` | {} | {} | {} |", interface.substr(interface.rfind('.') + 1), method.name,
                                or_none(method.arguments), or_none(method.results), to_string(method.role)));
  };
  std::ranges::for_each(supervisor_methods, expect);
  std::ranges::for_each(container_methods, expect);
  const std::vector<std::string> lines = lines_of_document();
  std::multiset<std::string> documented = rows(lines, "| `Supervisor1.", 4);
  documented.merge(rows(lines, "| `Container1.", 4));
  CHECK(documented == expected);
}

TEST_CASE("every property stands in the document with its type, and no other", "[control]") {
  std::multiset<std::string> expected;
  for (const Property& property : supervisor_properties)
    expected.insert(fmt::format("| `Supervisor1` `{}` | `{}` | {} |", property.name, property.signature,
                                property.changes ? "changes" : "constant"));
  for (const Property& property : container_properties)
    expected.insert(fmt::format("| `Container1` `{}` | `{}` | {} |", property.name, property.signature,
                                property.changes ? "changes" : "constant"));
  const std::vector<std::string> lines = lines_of_document();
  std::multiset<std::string> documented = rows(lines, "| `Supervisor1` ", 3);
  documented.merge(rows(lines, "| `Container1` ", 3));
  CHECK(documented == expected);
}

TEST_CASE("every kind of error stands in the document, and comes back from its bus name", "[control]") {
  const std::vector<std::string> lines = lines_of_document();
  for (int i = 0; i <= static_cast<int>(ErrorKind::internal); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    CHECK(from_bus(error_name(kind), "what was said").kind == kind);
    CHECK(rows(lines, fmt::format("| `{}` |", error_name(kind)), 1).size() == 1);
  }
}

TEST_CASE("an error of the bus itself gets the kind that fits", "[control]") {
  CHECK(from_bus("org.freedesktop.DBus.Error.UnknownObject", "x").kind == ErrorKind::not_found);
  CHECK(from_bus("org.freedesktop.DBus.Error.UnknownMethod", "x").kind == ErrorKind::unsupported);
  CHECK(from_bus("org.freedesktop.DBus.Error.NoReply", "x").errno_value == ETIMEDOUT);
  CHECK(sentence(from_bus("org.example.Strange", "x")) == "org.example.Strange: x");
}

TEST_CASE("a container's path holds its name, escaped", "[control]") {
  CHECK(container_path("web") == "/org/orlop/container/web");
  CHECK(container_path("a-b") == "/org/orlop/container/a_2db");
  CHECK(container_path("9p") == "/org/orlop/container/_39p");
}
