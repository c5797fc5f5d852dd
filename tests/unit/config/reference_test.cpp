// Holds docs/host-file.md against the parser: its tables are rows `| key | type | default | meaning and example |`.
#include <fstream>
#include <map>
#include <sstream>

#include "config/schema.hpp"
#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;

namespace {

struct Row {
  std::string type;
  std::string default_value;
  std::string meaning;
};

std::string trimmed(std::string_view cell) {
  const std::size_t first = cell.find_first_not_of(" `");
  if (first == std::string_view::npos) return {};
  return std::string(cell.substr(first, cell.find_last_not_of(" `") - first + 1));
}

/// Every table row whose first cell is code; `heading` picks the section of the page.
std::map<std::string, Row> rows(const std::string& heading) {
  std::ifstream page(std::string(SOURCE_DIRECTORY) + "/docs/host-file.md");
  REQUIRE(page);
  std::map<std::string, Row> out;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line == "## " + heading;
    if (!inside || !line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    std::istringstream parts(line.substr(1));
    for (std::string cell; std::getline(parts, cell, '|');) cells.push_back(trimmed(cell));
    cells.resize(4);
    CHECK(out.emplace(cells[0], Row{cells[1], cells[2], cells[3]}).second);
  }
  return out;
}

}  // namespace

TEST_CASE("docs/host-file.md lists every key of the parser with its type and default, and no other", "[config]") {
  std::map<std::string, Row> documented = rows("Keys");
  for (const KeyDoc& key : schema()) {
    INFO(key.path);
    const auto row = documented.find(key.path);
    REQUIRE(row != documented.end());
    CHECK(row->second.type == key.type);
    CHECK(row->second.default_value == key.default_value);
    CHECK_FALSE(row->second.meaning.empty());
    documented.erase(row);
  }
  for (const auto& [key, row] : documented) FAIL_CHECK("the page names " << key << ", which the parser does not know");
}

TEST_CASE("docs/host-file.md lists every key that is not in this version", "[config]") {
  std::map<std::string, Row> documented = rows("Not in this version");
  for (const std::string& key : later_keys()) {
    INFO(key);
    CHECK(documented.erase(key) == 1);
  }
  CHECK(documented.empty());
}
