#include "base/digest.hpp"

#include <catch2/catch.hpp>

using namespace orlop;

TEST_CASE("SHA-256 gives the values of FIPS 180-4", "[base]") {
  CHECK(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256Stream stream;
  stream.update("a");
  CHECK(stream.finish() == sha256("a"));
  stream.update("bc");
  CHECK(stream.finish() == sha256("abc"));
}

TEST_CASE("a digest is read from exactly 64 lower-case digits", "[base]") {
  const std::string digits = hex(sha256(""));
  CHECK(*parse_hex(digits) == sha256(""));
  CHECK_FALSE(parse_hex(digits.substr(1)));
  CHECK_FALSE(parse_hex("E" + digits.substr(1)));
  CHECK_FALSE(parse_hex(digits + "0"));
}
