// Friends: our own client, busctl, gdbus, and clients that write in unusual pieces.
#include <fcntl.h>
#include <fmt/format.h>
#include <systemd/sd-bus.h>
#include <catch2/catch.hpp>

#include <cstdio>

#include "tests/kernel/control/raw_client.hpp"
#include "tests/kernel/control/server_process.hpp"
#include "tests/skip.hpp"

using namespace orlop;
using namespace orlop::control;
using Catch::Matchers::Contains;

namespace {

// What a command prints, its exit status behind it.
std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(("timeout 20 " + command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) output += static_cast<char>(c);
  return fmt::format("{}status {}", output, ::pclose(pipe));
}

UniqueFd file_of(std::string_view bytes) {
  UniqueFd file = sys::memfd("host.toml").value();
  REQUIRE(write_all(file, bytes));
  return file;
}

std::string ping() {
  return call_bytes(supervisor_path, "org.freedesktop.DBus.Peer", "Ping");
}
std::string inspect_a_b() {
  return call_bytes("/org/orlop/container/a_2db", container_interface, "Inspect");
}

}  // namespace

TEST_CASE("every method goes through, with its arguments and its answer", "[control][kernel]") {
  const ServerProcess server;
  Client client = server.client();
  CHECK(client.apply(file_of("a-b\nweb\n"), "host.toml", true) == "host.toml true");
  CHECK(client.apply(file_of("a-b\nweb\n"), "host.toml", false) == "host.toml false");
  CHECK(client.list_images() == "[]");
  CHECK(client.remove_image("web@sha256:00"));
  CHECK(client.list_volumes() == "[]");
  CHECK(client.inspect_volume("data") == "data");
  CHECK(client.remove_volume("data"));
  CHECK_THAT(client.status().value(), Contains("connections=1 executable=/"));
  CHECK(client.effective().value().size() == 900'000);
  CHECK(client.shutdown());
  CHECK(client.start("web"));
  CHECK(client.inspect("web") == "running");
  CHECK(client.inspect("a-b") == "pending");
  CHECK(client.kill("web", "TERM"));
}

TEST_CASE("an import takes its options, and its progress comes line by line", "[control][kernel]") {
  const ServerProcess server;
  const Result<UniqueFd> directory = sys::open("/", O_RDONLY | O_DIRECTORY);
  std::vector<std::string> lines;
  const ImportOptions options{
      .name = "web", .reference = "v1", .mkdir = {"/data", "/more"}, .progress = [&](std::string_view line) {
        lines.emplace_back(line);
      }};
  CHECK(server.client().import_image(*directory, ImageSource::layout, options) == "layout web v1 2");
  CHECK(lines == std::vector<std::string>{"one", "two"});
  CHECK(server.client().import_image(file_of(""), ImageSource::archive, {}) == "archive   0");
}

TEST_CASE("files come as descriptors, 64 of them in one answer, and none stays behind", "[control][kernel]") {
  const ServerProcess server;
  Client client = server.client();
  const std::size_t before = server.open_fds();
  const Result<Files> logs = client.log_files("web");
  REQUIRE(logs);
  REQUIRE(logs->files.size() == max_reply_fds);
  std::array<char, 16> buffer{};
  CHECK(::pread(logs->files[63].get(), buffer.data(), buffer.size(), 0) == 7);
  CHECK(std::string(buffer.data()) == "file 63");
  CHECK(client.audit_files().value().files.size() == 2);
  REQUIRE(client.list_images());  // what the call before needed is gone by now
  CHECK(server.open_fds() == before);
}

TEST_CASE("an error arrives with its kind, its words and its remedy", "[control][kernel]") {
  const ServerProcess server;
  const auto missing = server.client().inspect_image("web@sha256:00");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::not_found);
  CHECK(text(missing.error()) == "there is no image 'web@sha256:00'\n  remedy: import it");
  const auto nobody = server.client().start("nobody");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().kind == ErrorKind::not_found);
  CHECK(text(nobody.error()) == "there is no container 'nobody'");
}

TEST_CASE("a call that the supervisor forgets is answered, and so is one whose answer is no text",
          "[control][kernel]") {
  const ServerProcess server;
  CHECK(server.client().restart("web").error().kind == ErrorKind::internal);
  CHECK(server.client().plan("web").error().kind == ErrorKind::kernel);
}

TEST_CASE("an answer comes when its time has come, whoever else calls meanwhile", "[control][kernel]") {
  const ServerProcess server;
  RawClient waiting(server.socket_path());
  REQUIRE(waiting.send(greeting(0) + call_bytes("/org/orlop/container/web", container_interface, "Wait")));
  REQUIRE(waiting.receive_until("AGREE_UNIX_FD"));
  REQUIRE(server.client().kill("web", "SIGKILL"));
  CHECK(waiting.receive_until("killed by SIGKILL"));
}

TEST_CASE("busctl is a complete client", "[control][kernel]") {
  const ServerProcess server;
  const std::string busctl = "busctl --address=unix:path=" + server.socket_path();
  const std::string tree = output_of(busctl + " tree --list org.orlop");
  CHECK_THAT(
      tree, Contains("/org/orlop/container/a_2db\n") && Contains("/org/orlop/container/web\n") && Contains("status 0"));
  const std::string introspection = output_of(busctl + " introspect org.orlop /org/orlop/container/web");
  for (const Method& method : container_methods) CHECK_THAT(introspection, Contains(fmt::format("\n.{}", method.name)));
  for (const Property& property : container_properties)
    CHECK_THAT(introspection, Contains(fmt::format("\n.{}", property.name)));
  CHECK_THAT(output_of(busctl + " call org.orlop /org/orlop/container/a_2db org.orlop.Container1 Inspect"),
             Contains("s \"exited\"\nstatus 0"));
  CHECK_THAT(output_of(busctl + " get-property org.orlop /org/orlop org.orlop.Supervisor1 Labels State"),
             Contains("a{ss} 1 \"site\" \"here\"\ns \"running\"\nstatus 0"));
  CHECK_THAT(output_of(busctl + " call org.orlop /org/orlop org.freedesktop.DBus.ObjectManager GetManagedObjects"),
             Contains("\"State\" s \"pending\""));
  CHECK_THAT(output_of(busctl + " call org.orlop /org/orlop/container/no org.orlop.Container1 Start"),
             Contains("there is no container 'no'\nstatus 256"));
}

TEST_CASE("introspection tells every method with the signatures and names of the table", "[control][kernel]") {
  const ServerProcess server;
  const std::string xml = output_of("busctl --address=unix:path=" + server.socket_path() +
                                    " introspect --xml-interface org.orlop /org/orlop");
  for (const Method& method : supervisor_methods) {
    std::string expected = fmt::format("<method name=\"{}\">", method.name);
    const char* name = method.names;
    const auto arguments = [&](const char* signature, std::string_view direction) {
      while (*signature != '\0') {
        // One complete type: "a{sv}" is the only one longer than an array of one letter.
        const std::string_view rest = signature;
        const std::string_view type = rest.substr(0, rest.starts_with("a{") ? 5 : rest.starts_with('a') ? 2 : 1);
        expected += fmt::format("\n   <arg type=\"{}\" name=\"{}\" direction=\"{}\"/>", type, name, direction);
        signature += type.size();
        name += std::string_view(name).size() + 1;
      }
    };
    arguments(method.arguments, "in");
    arguments(method.results, "out");
    CHECK_THAT(xml, Contains(expected));
    CHECK(*name == '\0');
  }
}

TEST_CASE("gdbus is a client too", "[control][kernel]") {
  if (output_of("gdbus help").find("status 0") == std::string::npos) ORLOP_SKIP("gdbus is not installed");
  const ServerProcess server;
  const std::string where = " --address unix:path=" + server.socket_path() + " --dest org.orlop --object-path ";
  CHECK_THAT(output_of("gdbus introspect" + where + "/org/orlop"), Contains("interface org.orlop.Supervisor1"));
  CHECK_THAT(output_of("gdbus call" + where + "/org/orlop/container/web --method org.orlop.Container1.Inspect"),
             Contains("('pending',)\nstatus 0"));
}

TEST_CASE("a call sent in one write with BEGIN is answered", "[control][kernel][T62]") {
  const ServerProcess server;
  RawClient client(server.socket_path());
  REQUIRE(client.send(greeting(0) + inspect_a_b()));
  CHECK(client.receive_until("exited"));
  RawClient half(server.socket_path());
  REQUIRE(half.send(greeting(0) + inspect_a_b().substr(0, 9)));
  REQUIRE(half.receive_until("AGREE_UNIX_FD"));
  REQUIRE(half.send(inspect_a_b().substr(9)));
  CHECK(half.receive_until("exited"));
}

TEST_CASE("a client that writes byte by byte is answered", "[control][kernel][T62]") {
  const ServerProcess server;
  RawClient client(server.socket_path());
  const std::string bytes = greeting(0) + inspect_a_b() + ping();
  for (const char& byte : bytes) REQUIRE(client.send({&byte, 1}));
  CHECK(client.receive_until("exited"));
}

TEST_CASE("every client hears of containers that come, change and go", "[control][kernel]") {
  const ServerProcess server;
  RawClient listener(server.socket_path());
  REQUIRE(listener.send(greeting(0) + ping()));
  REQUIRE(listener.receive_until("AGREE_UNIX_FD"));
  Client client = server.client();
  REQUIRE(client.start("web"));
  CHECK(listener.receive_until("PropertiesChanged"));
  CHECK(listener.receive_until("running"));
  REQUIRE(client.apply(file_of("web\nnew\n"), "host.toml", false));
  CHECK(listener.receive_until("InterfacesRemoved"));
  CHECK(listener.receive_until("InterfacesAdded"));
  CHECK(listener.receive_until("/org/orlop/container/new"));
  CHECK(client.inspect("new") == "pending");
  CHECK(client.inspect("a-b").error().kind == ErrorKind::not_found);
}

TEST_CASE("a successor serves the clients that wait at the same listener", "[control][kernel]") {
  ServerProcess server;
  Client client = server.client();
  server.kill();
  const auto lost = client.status();
  REQUIRE_FALSE(lost);
  CHECK(lost.error().errno_value == ECONNRESET);
  RawClient early(server.socket_path());
  REQUIRE(early.send(greeting(0) + inspect_a_b()));
  const ServerProcess successor({}, server.listener());
  CHECK(early.receive_until("exited"));
  CHECK(server.client().list_images() == "[]");
}

TEST_CASE("a client is told why it cannot connect", "[control][kernel]") {
  const TemporaryDirectory directory;
  CHECK(Client::connect(directory.path() + "/no.sock").error().kind == ErrorKind::not_found);
  UniqueFd listener = make_listener(directory.fd(), "control.sock", std::nullopt).value();
  const auto silent = Client::connect(directory.path() + "/control.sock", std::chrono::milliseconds(50));
  REQUIRE_FALSE(silent);
  CHECK(silent.error().errno_value == ETIMEDOUT);
  listener.reset();
  CHECK(Client::connect(directory.path() + "/control.sock").error().kind == ErrorKind::conflict);
}
