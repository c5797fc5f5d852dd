// Foes: each is cut by a bound, the owner is served meanwhile, and memory and descriptors come back.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

#include "tests/kernel/control/raw_client.hpp"
#include "tests/kernel/control/server_process.hpp"

using namespace orlop;
using namespace orlop::control;
using namespace std::chrono_literals;

namespace {

// What a call of the owner may take meanwhile (T62): milliseconds of its own, but the machine may be busy; far below it
// is what a client could make it wait for, the deadlines.
constexpr Duration promptly = 1s;
constexpr Duration soon = 10s;  // what comes at once, on a busy machine
// The sanitizer keeps freed memory: nothing can be said of what comes back.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool memory_counts = false;
#else
constexpr bool memory_counts = true;
#endif
constexpr std::size_t slack_bytes = std::size_t{4} << 20;

Duration time_of_a_call(const ServerProcess& server) {
  const BootTime begin = BootClock::now();
  REQUIRE(server.client().list_images());
  return BootClock::now() - begin;
}

// What must come back when the foes have gone. Keeps one connection, so that it counts like with like.
class Footprint {
 public:
  explicit Footprint(const ServerProcess& server) : server_(server), client_(server.client()) {
    settle();
    fds_ = server.open_fds();
    resident_ = server.resident_bytes();
  }
  void check() {
    const BootTime deadline = BootClock::now() + soon;
    do settle();
    while (server_.open_fds() > fds_ && BootClock::now() < deadline);
    CHECK(server_.open_fds() <= fds_);
    if (memory_counts) CHECK(server_.resident_bytes() <= resident_ + slack_bytes);
  }

 private:
  // A new connection is accepted after all before it; what was closed before a call is seen no later than that call,
  // and swept soon after it.
  void settle() {
    (void)time_of_a_call(server_);
    REQUIRE(client_.list_images());
    REQUIRE(client_.list_images());
  }

  const ServerProcess& server_;
  Client client_;
  std::size_t fds_ = 0;
  std::size_t resident_ = 0;
};

UniqueFd anything() {
  return sys::memfd("anything").value();
}

std::string effective() {
  return call_bytes(supervisor_path, supervisor_interface, "Effective");
}

// Connected as a reader, authenticated.
RawClient reader(const ServerProcess& server) {
  const AsUser user(reader_uid, reader_uid, {readers_group});
  RawClient client(server.socket_path());
  REQUIRE(client.send(greeting(reader_uid)));
  REQUIRE(client.receive_until("AGREE_UNIX_FD"));
  return client;
}

RawClient owner(const ServerProcess& server) {
  RawClient client(server.socket_path());
  REQUIRE(client.send(greeting(0)));
  REQUIRE(client.receive_until("AGREE_UNIX_FD"));
  return client;
}

// A file descriptor's worth of `count` copies of one.
std::vector<int> copies(const UniqueFd& fd, std::size_t count) {
  return std::vector<int>(count, fd.get());
}

}  // namespace

TEST_CASE("a thousand half-open connections of one user leave the owner served at once", "[control][kernel][T62]") {
  const ServerProcess server;
  Footprint footprint(server);
  {
    std::vector<RawClient> flood;
    Duration longest{};
    for (int i = 0; i < 1000; ++i) {
      {
        const AsUser user(reader_uid, reader_uid, {readers_group});
        flood.emplace_back(server.socket_path());
        (void)flood.back().send_some(std::string_view("\0AUTH", 5));
      }
      if (i % 50 == 0) longest = std::max(longest, time_of_a_call(server));
    }
    longest = std::max(longest, time_of_a_call(server));  // all before it have been accepted, or not
    CHECK(longest < promptly);
    std::size_t kept = 0;
    for (const RawClient& each : flood) kept += each.is_closed_within(0ms) ? 0 : 1;
    CHECK(kept <= 8);
    for (const RawClient& each : flood) CHECK(each.is_closed_within(soon));
    CHECK(server.counter("without_place") >= 992 - 8);  // the first eight may have been late already
    CHECK(server.counter("late") >= 1);
  }
  footprint.check();
}

TEST_CASE("strangers of many users never take the owner's places, and the owner has enough", "[control][kernel][T62]") {
  const ServerProcess server({.authenticate = 1h});
  std::vector<RawClient> others;
  for (uid_t uid = 2000; uid < 2010; ++uid)
    for (int i = 0; i < 8; ++i) {
      const AsUser user(uid, uid, {readers_group});
      others.emplace_back(server.socket_path());
    }
  std::vector<Client> owners;
  for (int i = 0; i < 30; ++i) owners.push_back(server.client());
  CHECK(owners.back().list_images());
  CHECK(server.counter("without_place") == 80 - 32);
  owners.clear();
  std::vector<RawClient> too_many;
  for (int i = 0; i < 40; ++i) too_many.emplace_back(server.socket_path());
  const AsUser user(2010, 2010, {readers_group});
  CHECK(RawClient(server.socket_path()).is_closed_within(soon));  // and so have all before it that had no place
  CHECK(std::ranges::count_if(too_many, [](const RawClient& each) { return each.is_closed_within(0ms); }) >= 8);
}

TEST_CASE("a message that dribbles in is cut, however steadily it comes", "[control][kernel][T62]") {
  const ServerProcess server({.authenticate = 300ms, .message = 300ms});
  RawClient lines(server.socket_path());
  const std::string words = greeting(0);
  std::size_t next = 0;
  while (!lines.is_closed_within(50ms) && next < words.size()) (void)lines.send_some(words.substr(next++, 1));
  CHECK(lines.is_closed_within(0ms));

  RawClient message = owner(server);
  next = 0;
  while (!message.is_closed_within(50ms) && next < 40) (void)message.send_some(effective().substr(next++, 1));
  CHECK(message.is_closed_within(0ms));
  CHECK(server.counter("late") == 2);
}

TEST_CASE("a client that has nothing to say may stay", "[control][kernel]") {
  const ServerProcess server({.authenticate = 100ms, .message = 100ms, .drain = 100ms});
  RawClient idle = owner(server);
  CHECK_FALSE(idle.is_closed_within(400ms));
  REQUIRE(idle.send(call_bytes(supervisor_path, supervisor_interface, "ListImages")));
  CHECK(idle.receive_until("[]"));
}

TEST_CASE("a client that asks and never reads costs little, then its connection", "[control][kernel][T62]") {
  const ServerProcess server({.drain = 1s});
  Footprint footprint(server);
  {
    std::vector<RawClient> deaf;
    for (int i = 0; i < 8; ++i) deaf.push_back(reader(server));
    std::string many;
    for (int i = 0; i < 200; ++i) many += effective();
    for (RawClient& each : deaf) REQUIRE(each.send_some(many) > 0);
    CHECK(time_of_a_call(server) < promptly);
    if (memory_counts) CHECK(server.resident_bytes() < std::size_t{32} << 20);  // of 1.4 GiB asked for
    for (const RawClient& each : deaf) CHECK(each.is_closed_within(soon));
    CHECK(server.counter("slow") == 8);
  }
  footprint.check();
}

TEST_CASE("a slow client that reads in the end gets every answer", "[control][kernel]") {
  const ServerProcess server({.drain = 5s});
  RawClient slow = owner(server);
  std::string calls;
  for (int i = 0; i < 20; ++i) calls += effective();
  REQUIRE(slow.send(calls + call_bytes("/org/orlop/container/a_2db", container_interface, "Inspect")));
  CHECK_FALSE(slow.is_closed_within(300ms));
  CHECK(slow.receive_until("exited"));
  CHECK(slow.received().size() > 20 * 900'000);
}

TEST_CASE("a client that does not read its signals is closed, whatever time it has", "[control][kernel][T62]") {
  const ServerProcess server({.drain = 1h});
  const RawClient deaf = reader(server);
  Client client = server.client();
  for (int i = 0; i < 20'000 && !deaf.is_closed_within(0ms); ++i) REQUIRE(client.start("web"));
  CHECK(deaf.is_closed_within(soon));
  CHECK(server.counter("slow") == 1);
}

TEST_CASE("a header that claims 128 MiB is refused before it costs anything", "[control][kernel][T62]") {
  const ServerProcess server;
  Footprint footprint(server);
  for (const char* header : {"l\1\0\1\0\0\0\x08\1\0\0\0\x10\0\0\0", "B\1\0\1\x08\0\0\0\0\0\0\1\0\0\0\x10"}) {
    RawClient client = owner(server);
    REQUIRE(client.send({header, 16}));
    CHECK(client.is_closed_within(soon));
  }
  CHECK(server.counter("malformed") == 2);
  footprint.check();
}

TEST_CASE("an argument of 900,000 bytes is no attack", "[control][kernel]") {
  const ServerProcess server;
  const auto refused = server.client().inspect_volume(std::string(900'000, 'a'));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::config);
}

TEST_CASE("too many descriptors close the connection, and every one of them", "[control][kernel][T62]") {
  const ServerProcess server;
  Footprint footprint(server);
  const UniqueFd file = anything();
  for (const std::size_t count : {5, 10, 253}) {
    RawClient client = owner(server);
    const std::vector<int> fds = copies(file, count);
    REQUIRE(client.send(
        call_bytes(supervisor_path, supervisor_interface, "Status", {}, {}, static_cast<std::uint32_t>(count)), fds));
    CHECK(client.is_closed_within(soon));
  }
  RawClient dribbling = owner(server);
  const std::string call = call_bytes(supervisor_path, supervisor_interface, "Status", {}, {}, 5);
  for (std::size_t i = 0; i < 5; ++i) (void)dribbling.send(call.substr(i, 1), copies(file, 1));
  CHECK(dribbling.is_closed_within(soon));
  RawClient from_reader = reader(server);
  (void)from_reader.send(call_bytes(supervisor_path, supervisor_interface, "Status", {}, {}, 1), copies(file, 1));
  CHECK(from_reader.is_closed_within(soon));
  footprint.check();
}

TEST_CASE("descriptors that a call allows but nobody wants are closed", "[control][kernel]") {
  const ServerProcess server;
  const UniqueFd file = anything();
  RawClient client = owner(server);
  const std::size_t before = server.open_fds();
  REQUIRE(client.send(call_bytes(supervisor_path, supervisor_interface, "ListImages", {}, {}, 4), copies(file, 4)));
  REQUIRE(client.receive_until("[]"));
  REQUIRE(client.send(call_bytes("/org/orlop/container/a_2db", container_interface, "Inspect")));
  REQUIRE(client.receive_until("exited"));  // what the call before needed is gone by now
  CHECK(server.open_fds() == before);
}

TEST_CASE("one user's waiting calls are bounded, and come back when its connection goes", "[control][kernel][T62]") {
  const ServerProcess server;
  const std::string wait = call_bytes("/org/orlop/container/web", container_interface, "Wait");
  for (int round = 0; round < 3; ++round) {
    RawClient first = reader(server);
    RawClient second = reader(server);
    for (int i = 0; i < 20; ++i) REQUIRE(first.send(wait));
    REQUIRE(first.send(call_bytes("/org/orlop/container/a_2db", container_interface, "Inspect")));
    REQUIRE(first.receive_until("exited"));  // all before it have been taken
    for (int i = 0; i < 13; ++i) REQUIRE(second.send(wait));
    CHECK(second.receive_until("org.orlop.Error.Limit"));
    CHECK(time_of_a_call(server) < promptly);
  }
}

TEST_CASE("messages that sd-bus cannot read harm nobody", "[control][kernel][T62]") {
  const ServerProcess server;
  Footprint footprint(server);
  for (int depth : {10, 60, 100, 5000}) {
    // a{sv} with a value of variants in variants.
    std::string body("\0\0\0\0\0\0\0\0\1\0\0\0x\0", 14);
    for (int i = 0; i < depth; ++i) body += std::string("\1v\0", 3);
    body += std::string("\1y\0\0", 4);
    const auto length = static_cast<std::uint32_t>(body.size() - 8);
    for (std::size_t i = 0; i < 4; ++i) body[i] = static_cast<char>(length >> (8 * i));
    RawClient client = reader(server);
    REQUIRE(client.send(call_bytes("/org/orlop/container/web", container_interface, "LogFiles", "a{sv}", body)));
    CHECK(time_of_a_call(server) < promptly);
  }
  footprint.check();
}

TEST_CASE("a message that sd-bus cannot read ends the connection", "[control][kernel][T62]") {
  const ServerProcess server;
  Footprint footprint(server);
  const UniqueFd file = anything();
  for (const std::string& call : {call_bytes("no/path", supervisor_interface, "ListImages"),
                                  call_bytes(supervisor_path, "no interface", "ListImages"),
                                  call_bytes(supervisor_path, supervisor_interface, "ListImages", {}, {}, 1)}) {
    RawClient client = reader(server);
    REQUIRE(client.send(call));
    CHECK(client.is_closed_within(soon));
  }
  CHECK(server.counter("malformed") == 3);
  footprint.check();
}

TEST_CASE("garbage of any kind leaves the server as it was", "[control][kernel][T62]") {
  const ServerProcess server;
  Footprint footprint(server);
  std::mt19937 random(1);  // the same garbage each time
  const std::string right =
      call_bytes("/org/orlop/container/web", container_interface, "Kill", "s", std::string("\4\0\0\0TERM\0", 9));
  for (int round = 0; round < 3000; ++round) {
    RawClient client(server.socket_path());
    std::string bytes = greeting(0) + right + right;
    const std::size_t first = round % 3 == 0 ? 0 : greeting(0).size();
    for (int i = 0; i < 1 + round % 5; ++i)
      bytes[first + random() % (bytes.size() - first)] = static_cast<char>(random());
    (void)client.send(bytes);
  }
  footprint.check();
}

TEST_CASE("a server out of descriptors waits for them and then goes on", "[control][kernel]") {
  const ServerProcess server;
  Client client = server.client();
  rlimit before{};
  REQUIRE(::prlimit(server.pid(), RLIMIT_NOFILE, nullptr, &before) == 0);
  const rlimit tight{.rlim_cur = server.lowest_free_fd(), .rlim_max = before.rlim_max};
  REQUIRE(::prlimit(server.pid(), RLIMIT_NOFILE, &tight, nullptr) == 0);
  RawClient waiting(server.socket_path());
  REQUIRE(waiting.send(greeting(0) + call_bytes("/org/orlop/container/a_2db", container_interface, "Inspect")));
  CHECK_FALSE(waiting.is_closed_within(250ms));
  CHECK(client.list_images() == "[]");
  REQUIRE(::prlimit(server.pid(), RLIMIT_NOFILE, &before, nullptr) == 0);
  CHECK(waiting.receive_until("exited"));
}
