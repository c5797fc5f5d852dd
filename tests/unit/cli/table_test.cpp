#include "cli/output/table.hpp"

#include <catch2/catch.hpp>

namespace orlop::cli {
namespace {

const std::vector<Column> columns = {
    {.heading = "NAME"}, {.heading = "PID", .right = true, .leaves = 1}, {.heading = "REASON", .shrinks_to = 6}};
const std::vector<std::vector<Cell>> rows = {{{"web"}, {"7"}, {"stopped by operator"}},
                                             {{"database"}, {"1234"}, {"-"}}};

TEST_CASE("a table that nobody measures is printed in full, aligned, without trailing spaces", "[cli]") {
  CHECK(table_text(columns, rows, {}) ==
        "NAME       PID  REASON\n"
        "web          7  stopped by operator\n"
        "database  1234  -\n");
}

TEST_CASE("a table cuts what may be cut before anything leaves", "[cli]") {
  CHECK(table_text(columns, rows, {.columns = 25}) ==
        "NAME       PID  REASON\n"
        "web          7  stopped …\n"
        "database  1234  -\n");
}

TEST_CASE("a table lets columns leave when cutting is not enough", "[cli]") {
  CHECK(table_text(columns, rows, {.columns = 17}) ==
        "NAME      REASON\n"
        "web       stoppe…\n"
        "database  -\n");
}

TEST_CASE("a table on a terminal narrower than what must stay is wider than it, not wrong", "[cli]") {
  CHECK(table_text(columns, rows, {.columns = 3}) ==
        "NAME      REASON\n"
        "web       stopp…\n"
        "database  -\n");
}

TEST_CASE("a table without rows is its heading", "[cli]") {
  CHECK(table_text(columns, {}, {}) == "NAME  PID  REASON\n");
}

TEST_CASE("a table escapes what a cell would do to a terminal [T37]", "[cli][T37]") {
  CHECK(table_text({{.heading = "A"}}, {{{"\033[2J\n"}}}, {}) == "A\n\\x1b[2J\\x0a\n");
}

TEST_CASE("colours do not count as width", "[cli]") {
  CHECK(table_text({{.heading = "A"}, {.heading = "B"}}, {{{"up", Colour::green}, {"x"}}}, {.colour = true}) ==
        "\033[2mA\033[0m   \033[2mB\033[0m\n\033[32mup\033[0m  x\n");
}

}  // namespace
}  // namespace orlop::cli
