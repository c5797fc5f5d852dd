#include "supervisor/logs/print.hpp"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

using namespace orlop;
using namespace orlop::logs;

TEST_CASE("nothing that a terminal acts on passes to it", "[logs][T37]") {
  CHECK(escape_for_terminal("plain\ttext, gr\xc3\xbc\xc3\x9f, \xe6\x97\xa5, \xf0\x9f\x9a\xa2") ==
        "plain\ttext, gr\xc3\xbc\xc3\x9f, \xe6\x97\xa5, \xf0\x9f\x9a\xa2");
  CHECK(escape_for_terminal("\x1b[2J\x1b]0;title\x07") == "\\x1b[2J\\x1b]0;title\\x07");
  CHECK(escape_for_terminal(std::string_view("a\0b\rc\nd\x7f", 8)) == "a\\x00b\\x0dc\\x0ad\\x7f");
  CHECK(escape_for_terminal("\xc2\x9b"
                            "31m") == "\\u{009b}31m");
  CHECK(escape_for_terminal("\xe2\x80\xae"
                            "evil\xe2\x81\xa9\xe2\x80\x8b") == "\\u{202e}evil\\u{2069}\\u{200b}");
}

TEST_CASE("bytes that are not UTF-8 are shown one by one", "[logs][T37]") {
  CHECK(escape_for_terminal("\xff\xfe") == "\\xff\\xfe");
  CHECK(escape_for_terminal("\xc0\xaf") == "\\xc0\\xaf");                    // overlong
  CHECK(escape_for_terminal("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");           // overlong
  CHECK(escape_for_terminal("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // surrogate
  CHECK(escape_for_terminal("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  CHECK(escape_for_terminal("\xe2\x82") == "\\xe2\\x82");                    // cut off
  CHECK(escape_for_terminal("\xc3(") == "\\xc3(");
}

TEST_CASE("a line as JSON has Docker's names, its newline, and only ASCII", "[logs]") {
  const Line line{.time = parse_rfc3339("2026-01-31T23:59:59.5Z").value(),
                  .stream = Stream::err,
                  .start = 3,
                  .log = "gr\xc3\xbc\xff\x1b\xc2\x9b\n"};
  const std::string json = json_line(line);
  CHECK(json.ends_with("}\n"));
  for (const char c : json.substr(0, json.size() - 1)) CHECK((c >= 0x20 && c < 0x7f));
  const nlohmann::json parsed = nlohmann::json::parse(json);
  CHECK(parsed.at("time") == "2026-01-31T23:59:59.500000Z");
  CHECK(parsed.at("stream") == "stderr");
  CHECK(parsed.at("log") == "gr\xc3\xbc\xef\xbf\xbd\x1b\xc2\x9b\n");
  CHECK(parsed.at("start") == 3);
  CHECK_FALSE(parsed.contains("dropped_bytes"));
}

TEST_CASE("a gap says how many bytes are missing, to people and to programs", "[logs]") {
  const Line gap{.time = parse_rfc3339("2026-01-31T23:59:59Z").value(), .dropped_bytes = 12345};
  CHECK(text_line(gap, false) == "[orlop: 12345 bytes of stdout were dropped here]\n");
  CHECK(text_line(gap, true) == "2026-01-31T23:59:59.000000Z [orlop: 12345 bytes of stdout were dropped here]\n");
  CHECK(nlohmann::json::parse(json_line(gap)).at("dropped_bytes") == 12345);
}
