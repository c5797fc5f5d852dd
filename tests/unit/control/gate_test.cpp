#include "supervisor/control/gate.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>

using namespace orlop;
using namespace orlop::control;
using namespace std::string_literals;

namespace {

constexpr uid_t root = 0;
constexpr uid_t alice = 1000;

const std::string greeting = "\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"s;
const std::string translated = "\0AUTH ANONYMOUS 6f\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"s;

// A method call's bytes as far as the gate looks: fixed header, fields of `fields` bytes, a body of `body` bytes.
std::string call(std::uint32_t fields, std::uint32_t body, bool big_endian = false) {
  std::string bytes(16, '\0');
  bytes[0] = big_endian ? 'B' : 'l';
  bytes[1] = 1;
  bytes[3] = 1;
  bytes[8] = 7;
  const auto put = [&](std::size_t offset, std::uint32_t number) {
    for (std::size_t i = 0; i < 4; ++i) bytes[offset + (big_endian ? 3 - i : i)] = static_cast<char>(number >> (8 * i));
  };
  put(4, body);
  put(12, fields);
  return bytes;
}
std::string whole_call(std::uint32_t fields, std::uint32_t body, bool big_endian = false) {
  return call(fields, body, big_endian) + std::string((fields + 7) / 8 * 8, 'f') + std::string(body, 'b');
}

std::string joined(const std::vector<Unit>& units) {
  std::string bytes;
  for (const Unit& unit : units) bytes += unit.bytes;
  return bytes;
}

Gate authenticated(uid_t uid = root, std::size_t max_fds = max_call_fds) {
  Gate gate(uid, max_fds);
  REQUIRE(gate.feed("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"s, 0));
  REQUIRE(gate.is_authenticated());
  return gate;
}

ErrorKind refusal(std::string_view bytes, uid_t uid = root) {
  Gate gate(uid, max_call_fds);
  const Result<std::vector<Unit>> units = gate.feed(bytes, 0);
  REQUIRE_FALSE(units);
  return units.error().kind;
}

}  // namespace

TEST_CASE("an identity that the kernel confirms passes as an anonymous one", "[control][gate]") {
  Gate gate(root, max_call_fds);
  const Result<std::vector<Unit>> units = gate.feed(greeting, 0);
  REQUIRE(units);
  CHECK(joined(*units) == translated);
  CHECK(units->back().bytes == "BEGIN\r\n");
  CHECK(gate.is_authenticated());
}

TEST_CASE("an identity may come later, or not at all: the kernel has said it", "[control][gate]") {
  Gate later(alice, 0);
  CHECK(joined(*later.feed("\0AUTH EXTERNAL\r\nDATA 31303030\r\nBEGIN\r\n"s, 0)) ==
        "\0AUTH ANONYMOUS\r\nDATA\r\nBEGIN\r\n"s);
  CHECK(later.is_authenticated());
  Gate never(alice, 0);
  CHECK(joined(*never.feed("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n"s, 0)) == "\0AUTH ANONYMOUS\r\nDATA\r\nBEGIN\r\n"s);
}

TEST_CASE("a client that tries other mechanisms first is told which there are", "[control][gate]") {
  Gate gate(root, max_call_fds);
  CHECK(joined(*gate.feed("\0AUTH\r\nAUTH DBUS_COOKIE_SHA1 30\r\nCANCEL\r\nERROR what?\r\nAUTH EXTERNAL 30\r\n"s, 0)) ==
        "\0AUTH\r\nAUTH\r\nCANCEL\r\nERROR\r\nAUTH ANONYMOUS 6f\r\n"s);
}

TEST_CASE("the stream means the same wherever it is cut", "[control][gate][T62]") {
  const std::string stream = greeting + whole_call(13, 5) + whole_call(8, 0, true);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    Gate gate(root, max_call_fds);
    const Result<std::vector<Unit>> first = gate.feed(std::string_view(stream).substr(0, cut), 0);
    REQUIRE(first);
    const Result<std::vector<Unit>> second = gate.feed(std::string_view(stream).substr(cut), 0);
    REQUIRE(second);
    CHECK(joined(*first) + joined(*second) == translated + whole_call(13, 5) + whole_call(8, 0, true));
    CHECK_FALSE(gate.is_within_message());
  }
  Gate gate(root, max_call_fds);
  std::string out;
  for (const char byte : stream) {
    const Result<std::vector<Unit>> units = gate.feed({&byte, 1}, 0);
    REQUIRE(units);
    out += joined(*units);
  }
  CHECK(out == translated + whole_call(13, 5) + whole_call(8, 0, true));
}

TEST_CASE("calls that come together with BEGIN are units of their own", "[control][gate][T62]") {
  Gate gate(root, max_call_fds);
  const Result<std::vector<Unit>> units = gate.feed(greeting + whole_call(16, 0) + whole_call(16, 3), 0);
  REQUIRE(units);
  REQUIRE(units->size() == 6);
  CHECK((*units)[3].bytes == "BEGIN\r\n");
  CHECK((*units)[4].bytes == whole_call(16, 0));
  CHECK((*units)[5].bytes == whole_call(16, 3));
}

TEST_CASE("nothing of a message is forwarded before it is whole, and reads stop at its end", "[control][gate]") {
  Gate gate = authenticated();
  CHECK(gate.want() == 16);
  CHECK(gate.feed(call(13, 5).substr(0, 10), 0)->empty());
  CHECK(gate.want() == 6);
  CHECK(gate.is_within_message());
  CHECK(gate.feed(call(13, 5).substr(10), 0)->empty());
  CHECK(gate.want() == 16 + 5);
  CHECK(gate.feed(std::string(20, 'x'), 0)->empty());
  CHECK(gate.feed("x", 0)->size() == 1);
  CHECK(gate.want() == 16);
  CHECK_FALSE(gate.is_within_message());
}

TEST_CASE("a claim to be someone else is refused", "[control][gate][T61]") {
  CHECK(refusal("\0AUTH EXTERNAL 30\r\n"s, alice) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL 31303031\r\n"s, alice) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL\r\nDATA 30\r\n"s, alice) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL 3\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL zz\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL 30 \r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL 3000\r\n"s) == ErrorKind::denied);
}

TEST_CASE("anonymity is refused from outside", "[control][gate][T61]") {
  CHECK(refusal("\0AUTH ANONYMOUS\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH ANONYMOUS 6f\r\n"s) == ErrorKind::denied);
}

TEST_CASE("nobody begins who has not shown an identity, or has taken it back", "[control][gate][T61]") {
  CHECK(refusal("\0BEGIN\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH\r\nBEGIN\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL\r\nBEGIN\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0AUTH EXTERNAL 30\r\nCANCEL\r\nBEGIN\r\n"s) == ErrorKind::denied);
  CHECK(refusal("\0DATA\r\n"s) == ErrorKind::corrupt);
  CHECK(refusal("\0AUTH EXTERNAL\r\nDATA\r\nDATA\r\n"s) == ErrorKind::corrupt);
}

TEST_CASE("bytes that are no authentication are refused at the first of them", "[control][gate]") {
  CHECK(refusal("A") == ErrorKind::corrupt);
  CHECK(refusal("\0\0"s) == ErrorKind::corrupt);
  CHECK(refusal("\0AUTH\n"s) == ErrorKind::corrupt);
  CHECK(refusal("\0\r\n"s) == ErrorKind::corrupt);
  CHECK(refusal("\0GET / HTTP/1.1\r\n"s) == ErrorKind::corrupt);
  CHECK(refusal("\0AUTH EXTERNAL 3\x80\r\n"s) == ErrorKind::corrupt);
  CHECK(refusal("\0begin\r\n"s) == ErrorKind::corrupt);
}

TEST_CASE("lines are bounded in length and number", "[control][gate][T62]") {
  CHECK(refusal("\0"s + std::string(max_line_bytes + 1, 'A')) == ErrorKind::limit);
  Gate longest(root, 0);
  CHECK(longest.feed("\0AUTH "s + std::string(max_line_bytes - 7, 'A') + "\r\n", 0));
  std::string lines = "\0"s;
  for (std::size_t i = 0; i < max_lines; ++i) lines += "AUTH\r\n";
  Gate most(root, 0);
  CHECK(most.feed(lines, 0));
  CHECK(refusal(lines + "AUTH\r\n") == ErrorKind::limit);
}

TEST_CASE("a message is refused by its claim to be too large, not by its bytes", "[control][gate][T62]") {
  CHECK(authenticated().feed(call(0, max_call_bytes - 16), 0));
  for (const std::string& header :
       {call(0, max_call_bytes - 15), call(128U << 20, 0), call(0, 128U << 20), call(0xffff'ffff, 0xffff'ffff),
        call(0xffff'fff9, 0), call(0, 0xffff'ffff, true), call(max_call_bytes - 16, 1)}) {
    const auto refused = authenticated().feed(header, 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::limit);
  }
}

TEST_CASE("only method calls of the known protocol pass", "[control][gate]") {
  const std::string right = whole_call(16, 0);
  CHECK(authenticated().feed(right, 0));
  const std::array<std::pair<std::size_t, char>, 6> wrong = {std::pair{std::size_t{0}, 'x'}, {std::size_t{0}, '\0'},
                                                             {std::size_t{1}, '\0'},         {std::size_t{1}, '\2'},
                                                             {std::size_t{1}, '\4'},         {std::size_t{3}, '\2'}};
  for (const auto& [offset, byte] : wrong) {
    std::string changed = right;
    changed[offset] = byte;
    const auto refused = authenticated().feed(changed, 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::corrupt);
  }
}

TEST_CASE("descriptors go with the message that is unfinished or begins next, a few at most", "[control][gate][T62]") {
  Gate gate = authenticated();
  const std::string message = whole_call(16, 0);
  CHECK(gate.feed(message.substr(0, 16), 2)->empty());
  const Result<std::vector<Unit>> units = gate.feed(message.substr(16), 2);
  REQUIRE(units);
  CHECK(units->at(0).fds == 4);
  CHECK(gate.feed(message, 0)->at(0).fds == 0);
  CHECK(gate.feed(message.substr(0, 16), 3)->empty());
  const auto refused = gate.feed(message.substr(16), 2);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::limit);
}

TEST_CASE("descriptors that come with BEGIN and a call belong to the call; earlier ones are refused",
          "[control][gate]") {
  Gate together(root, max_call_fds);
  const Result<std::vector<Unit>> units = together.feed(greeting + whole_call(16, 0), 1);
  REQUIRE(units);
  CHECK(units->at(2).fds == 0);
  CHECK(units->at(4).fds == 1);
  Gate early(root, max_call_fds);
  CHECK_FALSE(early.feed("\0AUTH EXTERNAL 30\r\n"s, 1));
}

TEST_CASE("a client without the right to send descriptors sends none", "[control][gate][T61]") {
  Gate gate = authenticated(alice, 0);
  CHECK_FALSE(gate.feed(whole_call(16, 0), 1));
}
