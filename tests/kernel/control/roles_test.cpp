// Who may do what: decided by the kernel's credentials, for every method.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <catch2/catch.hpp>

#include <map>

#include "tests/kernel/control/raw_client.hpp"
#include "tests/kernel/control/server_process.hpp"

using namespace orlop;
using namespace orlop::control;
using Catch::Matchers::Contains;

namespace {

Client reader_client(const ServerProcess& server) {
  const AsUser reader(reader_uid, reader_uid, {readers_group});
  return server.client();
}

}  // namespace

TEST_CASE("a reader calls what reads, and is denied by name what changes", "[control][kernel][T61]") {
  const ServerProcess server;
  Client reader = reader_client(server);
  CHECK(reader.status());
  CHECK(reader.list_images());
  CHECK(reader.list_volumes());
  CHECK(reader.inspect_volume("data"));
  CHECK(reader.effective());
  CHECK(reader.inspect("web") == "pending");
  CHECK(reader.log_files("web"));

  const auto is_denied = [](const auto& result) {
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::denied);
    CHECK_THAT(text(result.error()), Contains("needs the role admin"));
  };
  is_denied(reader.remove_image("web@sha256:00"));
  is_denied(reader.remove_volume("data"));
  is_denied(reader.audit_files());
  is_denied(reader.shutdown());
  is_denied(reader.start("web"));
  is_denied(reader.stop("web"));
  is_denied(reader.restart("web"));
  is_denied(reader.kill("web", "TERM"));
  CHECK(reader.inspect("web") == "pending");

  const std::string told = server.client().status().value();
  CHECK_THAT(told,
             Contains("1000 org.orlop.Container1.Stop web\n") && Contains("1000 org.orlop.Supervisor1.Shutdown\n"));
}

TEST_CASE("every method of the admin's is denied to a reader, whatever its arguments", "[control][kernel][T61]") {
  // No descriptor comes with "hsa{sv}": the role is weighed before the arguments are read.
  const std::map<std::string, std::string> bodies = {
      {"", ""},
      {"s", std::string("\4\0\0\0data\0", 9)},
      {"hsa{sv}", std::string("\0\0\0\0\4\0\0\0data\0\0\0\0\0\0\0\0\0\0\0", 24)}};
  const ServerProcess server;
  const AsUser reader(reader_uid, reader_uid, {readers_group});
  const auto check = [&](const Method& method) {
    const bool of_container = std::string_view(method.interface) == container_interface;
    const std::string path = of_container ? "/org/orlop/container/web" : supervisor_path;
    RawClient client(server.socket_path());
    REQUIRE(client.send(greeting(reader_uid) + call_bytes(path, method.interface, method.name, method.arguments,
                                                          bodies.at(method.arguments))));
    CHECK(client.receive_until("org.orlop.Error.Denied"));
  };
  for (const Method& method : supervisor_methods)
    if (method.role == Role::admin) check(method);
  for (const Method& method : container_methods)
    if (method.role == Role::admin) check(method);
}

TEST_CASE("a reader cannot send a file", "[control][kernel][T61]") {
  const ServerProcess server;
  const UniqueFd file = sys::memfd("host.toml").value();
  Client reader = reader_client(server);
  const auto applied = reader.apply(file, "host.toml", false);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().errno_value == ECONNRESET);
  CHECK(server.client().apply(file, "host.toml", true));
}

TEST_CASE("the primary group makes a reader as well", "[control][kernel][T61]") {
  const ServerProcess server;
  const AsUser reader(reader_uid, readers_group, {});
  CHECK(server.client().status());
}

TEST_CASE("the mode of the socket keeps strangers out", "[control][kernel][T61]") {
  const ServerProcess server;
  const AsUser stranger(reader_uid, reader_uid, {});
  CHECK(Client::connect(server.socket_path()).error().kind == ErrorKind::denied);
}

TEST_CASE("a stranger who gets past the mode is closed before a byte is read, and told of", "[control][kernel][T61]") {
  const ServerProcess server;
  REQUIRE(::chmod(server.socket_path().c_str(), 0666) == 0);
  {
    const AsUser stranger(reader_uid, reader_uid, {reader_uid});
    RawClient silent(server.socket_path());
    CHECK(silent.is_closed_within(std::chrono::seconds(10)));
    RawClient speaking(server.socket_path());
    (void)speaking.send(greeting(reader_uid));  // may come too late: that is the point
    CHECK_FALSE(speaking.receive_until("OK"));
    CHECK(speaking.received().empty());
    CHECK(Client::connect(server.socket_path()).error().kind == ErrorKind::limit);
  }
  CHECK(server.counter("without_role") == 3);
  CHECK(server.counter("malformed") == 0);
  CHECK_THAT(server.client().status().value(), Contains("1000 connect\n"));
}

TEST_CASE("a reader who claims to be root, or nobody, is closed", "[control][kernel][T61]") {
  const ServerProcess server;
  {
    const AsUser reader(reader_uid, reader_uid, {readers_group});
    RawClient as_root(server.socket_path());
    REQUIRE(as_root.send(greeting(0)));
    CHECK_FALSE(as_root.receive_until("OK"));
    RawClient anonymous(server.socket_path());
    REQUIRE(anonymous.send(std::string_view("\0AUTH ANONYMOUS 6f\r\n", 20)));
    CHECK_FALSE(anonymous.receive_until("OK"));
    RawClient honest(server.socket_path());
    REQUIRE(honest.send(greeting(reader_uid)));
    CHECK(honest.receive_until("OK"));
  }
  CHECK(server.counter("malformed") == 2);
}

TEST_CASE("names that are none are refused by the pattern", "[control][kernel][T64]") {
  const ServerProcess server;
  Client client = server.client();
  for (const std::string& name : {std::string("../x"), std::string("."), std::string(), std::string(300, 'a'),
                                  std::string("a/b"), std::string("a\nb"), std::string("a\u202eb"), std::string("A")}) {
    const auto volume = client.inspect_volume(name);
    REQUIRE_FALSE(volume);
    CHECK(volume.error().kind == ErrorKind::config);
    CHECK_THAT(text(volume.error()), Contains("1 to 63 of a-z"));
    CHECK(client.start(name).error().kind == ErrorKind::config);
    char* path = nullptr;
    REQUIRE(sd_bus_path_encode(containers_path, name.c_str(), &path) >= 0);
    RawClient raw(server.socket_path());
    REQUIRE(raw.send(greeting(0) + call_bytes(path, container_interface, "Start")));
    CHECK(raw.receive_until("UnknownObject"));
    std::free(path);
  }
  CHECK(client.inspect_volume("data") == "data");
}

TEST_CASE("arguments of the wrong kind are refused before the supervisor sees them", "[control][kernel]") {
  const ServerProcess server;
  Client client = server.client();
  const Result<UniqueFd> directory = sys::open("/", O_RDONLY | O_DIRECTORY);
  const UniqueFd file = sys::memfd("x").value();
  CHECK_THAT(text(client.apply(*directory, "x", false).error()), Contains("the host file is not a regular file"));
  CHECK_THAT(text(client.import_image(file, ImageSource::layout, {}).error()),
             Contains("the image's source is not a directory"));
  CHECK(client.import_image(*directory, ImageSource::archive, {}).error().kind == ErrorKind::config);
  CHECK(client.inspect_image("a b").error().kind == ErrorKind::config);
  CHECK(client.kill("web", std::string(33, 'K')).error().kind == ErrorKind::config);
  RawClient raw(server.socket_path());
  const std::string option("\x10\0\0\0\0\0\0\0\3\0\0\0now\0\1b\0\0\1\0\0\0", 24);  // a{sv} {"now": true}
  REQUIRE(
      raw.send(greeting(0) + call_bytes("/org/orlop/container/web", container_interface, "LogFiles", "a{sv}", option)));
  CHECK(raw.receive_until("there is no option 'now'"));
}
