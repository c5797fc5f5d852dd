#include "base/message.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/sys.hpp"

using namespace orlop;

namespace {
std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
}  // namespace

TEST_CASE("a message arrives whole, with its descriptors", "[base]") {
  auto pair = sys::socketpair(SOCK_SEQPACKET);
  REQUIRE(pair);
  Result<sys::Pipe> pipe = sys::pipe();
  REQUIRE(pipe);
  const std::array<int, 1> fds = {pipe->write.get()};
  CHECK(*send_message(pair->first, bytes_of("hello"), fds));
  std::array<std::byte, 64> buffer;
  auto received = receive_message(pair->second, buffer);
  REQUIRE(received);
  REQUIRE(*received);
  CHECK((*received)->size == 5);
  REQUIRE((*received)->fds.size() == 1);
  CHECK(::write((*received)->fds[0].get(), "x", 1) == 1);
  CHECK_FALSE(*receive_message(pair->second, buffer));
}

TEST_CASE("a full socket says so and sends nothing; a gone peer reads as size 0; a message too large is corrupt",
          "[base]") {
  auto pair = sys::socketpair(SOCK_SEQPACKET);
  REQUIRE(pair);
  std::array<std::byte, 4096> big{};
  int sent = 0;
  while (*send_message(pair->first, big, {})) ++sent;
  CHECK(sent > 0);
  std::array<std::byte, 16> small;
  CHECK(receive_message(pair->second, small).error().kind == ErrorKind::corrupt);
  pair->first.reset();
  std::array<std::byte, 4096> buffer;
  for (int i = 1; i < sent; ++i) CHECK((*receive_message(pair->second, buffer))->size == 4096);
  CHECK((*receive_message(pair->second, buffer))->size == 0);
}
