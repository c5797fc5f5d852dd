#include "cli/output/error_view.hpp"

#include <catch2/catch.hpp>
#include <cerrno>

namespace orlop::cli {
namespace {

TEST_CASE("a remedy that came over the bus inside the text is set apart", "[cli]") {
  const Error told = with_remedy_apart(fail(ErrorKind::not_found, "no image 'web'\n  remedy: import it").error());
  CHECK(told.chain == std::vector<std::string>{"no image 'web'"});
  CHECK(told.remedy == "import it");
}

TEST_CASE("the remedies of several errors in one text stay with their errors", "[cli]") {
  const Error several = fail(ErrorKind::config, "a\n  remedy: b\nc\n  remedy: d").error();
  CHECK(with_remedy_apart(several) == several);
}

TEST_CASE("an error for programs has its kind and message, and what else is known", "[cli]") {
  CHECK(error_json(fail(ErrorKind::denied, "no").error()) == Json({{"kind", "denied"}, {"message", "no"}}));
  Error error = fail_errno(EINVAL, "mount_setattr", "cannot idmap").error();
  error.chain.insert(error.chain.begin(), "container 'web'");
  error.place = Place{"host.toml", 3, 1, "container.web"};
  error.remedy = "do";
  CHECK(error_json(error) ==
        Json({{"kind", "kernel"},
              {"message", "container 'web': cannot idmap"},
              {"call", "mount_setattr"},
              {"errno", "EINVAL"},
              {"place", {{"file", "host.toml"}, {"line", 3}, {"column", 1}, {"key", "container.web"}}},
              {"remedy", "do"}}));
}

TEST_CASE("all errors of a host file stand in one document", "[cli]") {
  const std::vector<Error> errors = {fail(ErrorKind::config, "one").error(), fail(ErrorKind::config, "two").error()};
  const Json json = errors_json(errors, "2 errors");
  CHECK(json.at("error").at("message") == "2 errors");
  CHECK(json.at("error").at("errors").size() == 2);
}

TEST_CASE("an error's text cannot act on the terminal [T37]", "[cli][T37]") {
  CHECK(error_text(fail(ErrorKind::internal, "a\033[2Jb", "c").error(), {}) == "orlop: a\\x1b[2Jb\n  remedy: c\n");
}

}  // namespace
}  // namespace orlop::cli
