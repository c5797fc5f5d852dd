#include "base/size.hpp"

#include <catch2/catch.hpp>

using namespace orlop;

TEST_CASE("a size is read with its unit and written in its shortest exact form", "[base]") {
  CHECK(parse_bytes("512MiB")->count == 512ULL << 20);
  CHECK(parse_bytes("512M") == parse_bytes("512MiB"));
  CHECK(parse_bytes("1.5KiB")->count == 1536);
  CHECK(format_bytes({1536}) == "1536B");
  CHECK(format_bytes(512_MiB) == "512MiB");
  CHECK(format_bytes({0}) == "0B");
}

TEST_CASE("a size that is bare, signed, fractional bytes, too large or followed by anything is refused",
          "[base][T63]") {
  for (const char* wrong :
       {"", "10", "-1B", "+1B", "1e9B", "10KiBB", "10 KiB", "NaN", "0.3B", ".5KiB", "1.KiB", "1.2.3KiB", "10kib",
        "9223372036854775808B", "99999999999999999999GiB", "4611686018427387905B", "1KiB "})
    CHECK_FALSE(parse_bytes(wrong));
}
