#include "cli/output/image_view.hpp"

#include <catch2/catch.hpp>

namespace orlop::cli {
namespace {

TEST_CASE("images are listed with their digest, size and users, and broken ones by name", "[cli]") {
  const Json answer = {
      {"images", {{{"name", "web"}, {"digest", "sha256:01"}, {"size_bytes", 3145728}, {"used_by", {"a", "b"}}}}},
      {"broken", {"sha256-02.json is torn"}}};
  CHECK(images_text(answer, {}) ==
        "NAME  DIGEST       SIZE  USED BY\n"
        "web   sha256:01  3.0MiB  a, b\n"
        "broken: sha256-02.json is torn\n");
}

TEST_CASE("a report of sealing names what was dropped, how often and where", "[cli]") {
  image::Record record;
  record.report = {{image::Finding::device_dropped, 2, {"/dev/sda", "/dev/\\x1b"}},
                   {image::Finding::setuid_inert, 9, {"/bin/su"}}};
  const std::string device(image::to_string(image::Finding::device_dropped));
  const std::string setuid(image::to_string(image::Finding::setuid_inert));
  CHECK(report_text(record) == "2 " + device + ": /dev/sda, /dev/\\x1b\n9 " + setuid + ": /bin/su, …\n");
}

TEST_CASE("an image that says nothing of itself is shown without empty lines", "[cli]") {
  image::Record record;
  record.name = "web";
  const std::string text = image_text(record);
  CHECK(text.find("\n\n") == std::string::npos);
  CHECK(text.find("reference:  web@sha256:0000") == 0);
  CHECK(text.find("user:") == std::string::npos);
}

}  // namespace
}  // namespace orlop::cli
