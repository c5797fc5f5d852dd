#include "image/worker/layer.hpp"

#include <catch2/catch.hpp>

using namespace orlop;
using namespace orlop::image;
using Kind = EntryName::Kind;

TEST_CASE("names of a layer's entries come out relative and normal", "[image]") {
  CHECK(parse_entry_name("./a//b/./c/").value() == EntryName{Kind::plain, "a/b/c"});
  CHECK(parse_entry_name("./").value() == EntryName{Kind::plain, ""});
  CHECK(parse_entry_name("..a/b..").value() == EntryName{Kind::plain, "..a/b.."});
}

TEST_CASE("whiteouts are told from files by their names", "[image][T44]") {
  CHECK(parse_entry_name("a/.wh.b").value() == EntryName{Kind::whiteout, "a/b"});
  CHECK(parse_entry_name("a/.wh..wh..opq").value() == EntryName{Kind::opaque, "a"});
  CHECK(parse_entry_name(".wh..wh..opq").value() == EntryName{Kind::opaque, ""});
  CHECK(parse_entry_name(".wh..wh.plnk/12.34").value().kind == Kind::ignored);
  for (const std::string_view bad : {".wh.", "a/.wh..", "a/.wh...", "a/.wh.b/c"}) CHECK_FALSE(parse_entry_name(bad));
}

TEST_CASE("names that lead out, hide bytes or go too deep are refused", "[image][T42][T43]") {
  for (const std::string_view bad : {"", "/", "/etc/passwd", "..", "../x", "a/../b", "a/.."})
    CHECK(parse_entry_name(bad).error().kind == ErrorKind::corrupt);
  CHECK_FALSE(parse_entry_name(std::string_view("a\0b", 3)));
  CHECK(parse_entry_name(std::string(256, 'a')).error().kind == ErrorKind::limit);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += std::string(255, 'd') + "/";
  CHECK(parse_entry_name(deep).error().kind == ErrorKind::limit);
  std::string many;
  for (int i = 0; i < 129; ++i) many += "d/";
  CHECK(parse_entry_name(many).error().kind == ErrorKind::limit);
}
