#include "base/name.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace orlop;

TEST_CASE("a name follows one pattern", "[base][T64]") {
  for (const char* good : {"a", "web", "web-1", "0", "a--b"}) CHECK(is_valid_name(good));
  CHECK(is_valid_name(std::string(63, 'a')));
  for (const char* wrong : {"", "-a", "a-", ".", "..", "../x", "a/b", "A", "a_b", "a\n", "a b", "\xE2\x80\xAEx"})
    CHECK_FALSE(is_valid_name(wrong));
  CHECK_FALSE(is_valid_name(std::string(64, 'a')));
}
