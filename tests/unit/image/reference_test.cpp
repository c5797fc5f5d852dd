#include "image/reference.hpp"

#include <catch2/catch.hpp>

using namespace orlop;
using namespace orlop::image;

TEST_CASE("an image is called NAME@sha256:DIGEST, and is printed as it is read", "[image]") {
  const std::string digest(64, 'a');
  for (const std::string name :
       {"busybox", "busybox:1.36", "registry.example.net:5000/gateway/broker", "a/b_c/d-e:V1"}) {
    const std::string written = name + "@sha256:" + digest;
    const Result<Reference> reference = parse_reference(written);
    REQUIRE(reference);
    CHECK(reference->name == name);
    CHECK(text(*reference) == written);
  }
}

TEST_CASE("a name that could leave a directory or hide a byte is refused", "[image]") {
  for (const std::string_view name : {"", "/a", "a/", "a//b", "../a", "a/../b", "a..b", ".a", "A", "a b", "a\n",
                                      "a:", "a:b/c", "a/b:80/c", "a:b:c", "-a"})
    CHECK_FALSE(is_valid_image_name(name));
  CHECK_FALSE(is_valid_image_name(std::string(256, 'a')));
}

TEST_CASE("a reference without a whole lower-case digest is refused with what to write", "[image]") {
  for (const std::string& written :
       {std::string("busybox"), std::string("busybox:latest"), "busybox@sha256:" + std::string(63, 'a'),
        "busybox@sha256:" + std::string(64, 'A'), "@sha256:" + std::string(64, 'a')}) {
    const Result<Reference> reference = parse_reference(written);
    REQUIRE_FALSE(reference);
    CHECK(reference.error().kind == ErrorKind::config);
    CHECK_FALSE(reference.error().remedy.empty());
  }
}
