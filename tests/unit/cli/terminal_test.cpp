#include "cli/output/terminal.hpp"

#include <catch2/catch.hpp>

namespace orlop::cli {
namespace {

TEST_CASE("a stream that is no terminal has neither colour, width nor anybody waiting", "[cli]") {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  const Terminal terminal = Terminal::of(file);
  CHECK_FALSE(terminal.colour);
  CHECK_FALSE(terminal.progress);
  CHECK_FALSE(terminal.columns);
  std::fclose(file);
}

TEST_CASE("paint adds nothing where colours are not shown", "[cli]") {
  CHECK(Terminal{}.paint("word", Colour::red) == "word");
  CHECK(Terminal{.colour = true}.paint("word", Colour::none) == "word");
  CHECK(Terminal{.colour = true}.paint("word", Colour::red) == "\033[31mword\033[0m");
}

TEST_CASE("escape_lines keeps lines and escapes what is in them [T37]", "[cli][T37]") {
  CHECK(escape_lines("one\n  two\n") == "one\n  two\n");
  CHECK(escape_lines("a\033]0;title\007\nb\rc") == "a\\x1b]0;title\\x07\nb\\x0dc");
  CHECK(escape_lines("").empty());
}

TEST_CASE("cut counts letters, not bytes", "[cli]") {
  CHECK(cut("größer", 6) == "größer");
  CHECK(cut("größer", 5) == "größ…");
  CHECK(cut("größer", 1) == "…");
  CHECK(columns_of("größer") == 6);
}

}  // namespace
}  // namespace orlop::cli
