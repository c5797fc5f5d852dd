#include "cli/doctor/finding.hpp"

#include <catch2/catch.hpp>

namespace orlop::cli::doctor {
namespace {

const Findings findings = {{.what = "kernel", .found = "6.1"},
                           {.what = "cgroup memory",
                            .grade = Grade::weaker,
                            .found = "v1",
                            .consequence = "minimums are not kept",
                            .remedy = "boot with v2"}};

TEST_CASE("findings are listed with what follows from them and what to do", "[cli]") {
  CHECK(text(findings, {}) ==
        "ok       kernel         6.1\n"
        "weaker   cgroup memory  v1\n"
        "           minimums are not kept\n"
        "           remedy: boot with v2\n");
}

TEST_CASE("a host is able unless something is missing", "[cli]") {
  CHECK(is_able(findings));
  Findings less = findings;
  less.push_back({.what = "seccomp", .grade = Grade::missing});
  CHECK_FALSE(is_able(less));
  CHECK(json(less).at("able") == false);
  CHECK(json(less).at("findings").at(2).at("grade") == "missing");
}

}  // namespace
}  // namespace orlop::cli::doctor
