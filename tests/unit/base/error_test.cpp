#include "base/error.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

using namespace orlop;

TEST_CASE("an operator reads what failed, the kernel's word, the line and the remedy", "[base]") {
  Error error = fail_errno(EINVAL, "mount_setattr", "cannot map the ids of the root").error();
  error.place = Place{"host.toml", 14, 3, "container.web.image"};
  error.remedy = "use another image";
  const Error whole = fail(std::move(error), "container 'web': cannot start").error();
  CHECK(text(whole) ==
        "container 'web': cannot start: cannot map the ids of the root\n"
        "  kernel: mount_setattr: Invalid argument (EINVAL)\n"
        "  config: host.toml:14:3 (container.web.image)\n"
        "  remedy: use another image");
  CHECK(sentence(whole) ==
        "container 'web': cannot start: cannot map the ids of the root: mount_setattr: Invalid argument (EINVAL)");
}

TEST_CASE("an errno that misleads comes with its remedy", "[base]") {
  CHECK(fail_errno(ENOSPC, "move_mount", "x").error().remedy.find("mount-max") != std::string::npos);
}
