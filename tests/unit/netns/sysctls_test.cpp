#include "netns/sysctls.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

using namespace orlop::netns;

TEST_CASE("what is set for all links is set for later ones too", "[netns]") {
  for (const Sysctl& sysctl : default_sysctls()) {
    std::string later(sysctl.path);
    const std::size_t all = later.find("/all/");
    if (all == std::string::npos) continue;
    later.replace(all, 5, "/default/");
    INFO(later);
    CHECK(std::ranges::any_of(default_sysctls(),
                              [&](const Sysctl& other) { return other.path == later && other.value == sysctl.value; }));
  }
}
