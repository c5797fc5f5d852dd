#include "sandbox/seccomp.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "sandbox/seccomp_calls.hpp"
#include "tests/need.hpp"

using namespace orlop;
using namespace orlop::sandbox;

TEST_CASE("no call is both allowed and refused, and none stands twice in a list", "[sandbox]") {
  std::vector<std::string_view> all(allowed_call_names.begin(), allowed_call_names.end());
  all.insert(all.end(), refused_call_names.begin(), refused_call_names.end());
  std::ranges::sort(all);
  CHECK(std::ranges::adjacent_find(all) == all.end());
}

TEST_CASE("the list of allowed calls is sorted, and names the conditional ones apart", "[sandbox]") {
  const AllowedCalls calls = allowed_calls(0);
  CHECK(std::ranges::is_sorted(calls.always));
  CHECK(calls.conditional ==
        std::vector<std::string>{"clone", "mknod", "mknodat", "personality", "socket", "socketpair"});
  CHECK(std::ranges::find(calls.always, "mount") == calls.always.end());
}

TEST_CASE("a filter is compiled once for each set of capabilities", "[sandbox]") {
  SeccompCache cache;
  const auto first = need(cache.get(0));
  CHECK(need(cache.get(0)) == first);
  CHECK(need(cache.get(1ULL << 13)) != first);
  CHECK(first->size() < BPF_MAXINSNS);
}
