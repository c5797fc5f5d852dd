#include "image/worker/users.hpp"

#include <catch2/catch.hpp>

#include <fmt/format.h>

using namespace orlop;
using namespace orlop::image;

namespace {

const Accounts accounts = parse_accounts(
    "root:x:0:0:root:/root:/bin/sh\n"
    "www-data:x:33:34:www:/var/www:/usr/sbin/nologin\n"
    "1234:x:5:6::/:\n",
    "root:x:0:\nadm:x:4:www-data\nssl:x:110:\n");

std::pair<std::uint32_t, std::uint32_t> ids(std::string_view written) {
  const Identity identity = resolve_user(written, accounts).value();
  CHECK(identity.written == written);
  return {identity.uid, identity.gid};
}

}  // namespace

TEST_CASE("a user is found by every form that Docker knows", "[image]") {
  CHECK(ids("www-data") == std::pair(33U, 34U));
  CHECK(ids("www-data:adm") == std::pair(33U, 4U));
  CHECK(ids("www-data:7") == std::pair(33U, 7U));
  CHECK(ids("33") == std::pair(33U, 34U));
  CHECK(ids("33:ssl") == std::pair(33U, 110U));
  CHECK(ids("999") == std::pair(999U, 0U));
  CHECK(ids("999:998") == std::pair(999U, 998U));
  CHECK(ids("1234") == std::pair(5U, 6U));  // an account of that name goes first
}

TEST_CASE("a user or group that the image lacks, and ids beyond a container's, are refused", "[image]") {
  CHECK(resolve_user("nobody", accounts).error().kind == ErrorKind::not_found);
  CHECK(resolve_user("root:wheel", accounts).error().kind == ErrorKind::not_found);
  CHECK(resolve_user("65536", accounts).error().kind == ErrorKind::limit);
  CHECK(resolve_user("0:65536", accounts).error().kind == ErrorKind::limit);
  for (const std::string_view bad : {"", ":", "root:", ":root", "a:b:c"})
    CHECK(resolve_user(bad, accounts).error().kind == ErrorKind::config);
  CHECK_FALSE(resolve_user("-1", accounts));
  CHECK_FALSE(resolve_user("18446744073709551616", accounts));
}

TEST_CASE("account files of odd form give the lines that are sound, and say that others were left out", "[image]") {
  const Accounts odd = parse_accounts(
      "# comment\n\nshort:x\nroot:x:0:0:::\nroot:x:7:7:::\nbig:x:70000:1:::\nneg:x:-1:1:::\nna me:x:1:1:::\n"
      "last:x:9:9::/:/bin/sh",
      "");
  CHECK(odd.users == std::vector<User>{{"root", 0, 0}, {"last", 9, 9}});
  CHECK(odd.cut);
  CHECK_FALSE(accounts.cut);
  std::string many;
  for (int i = 0; i < 5000; ++i) many += fmt::format("u{}:x:{}:1:::\n", i, i);
  const Accounts bounded = parse_accounts(many, "");
  CHECK(bounded.users.size() == max_accounts);
  CHECK(bounded.cut);
}
