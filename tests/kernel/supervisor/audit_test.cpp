// The audit log of a real instance: every change with who and why, whole after everything.
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using Catch::Matchers::Contains;

namespace {

constexpr const char* host = R"(
[container.one]
image   = "BUSYBOX"
command = ["/bin/sleep", "1000"]
stop.grace = "0s"
)";

std::ptrdiff_t count(const std::vector<audit::Entry>& entries, std::string_view what) {
  return std::ranges::count(entries, what, [](const audit::Entry& entry) { return entry.record.what; });
}

// Connects as a user without any role, and asks for the status; whether it was answered.
bool asks_as_stranger(const std::string& socket) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(4711, 4711, 4711) != 0 || ::setresuid(4711, 4711, 4711) != 0)
      ::_exit(2);
    Result<control::Client> client = control::Client::connect(socket);
    ::_exit(client && client->status() ? 1 : 0);
  }
  int status = 0;
  need(::waitpid(child, &status, 0) == child);
  need(WIFEXITED(status) && WEXITSTATUS(status) != 2);
  return WEXITSTATUS(status) == 1;
}

}  // namespace

TEST_CASE("every change is on record with its actor and its reason, across deaths of orlopd",
          "[supervisor][root][T76]") {
  Instance orlop;
  need(orlop.apply(host));
  orlop.await("one", "running");
  need(orlop.client().restart("one"));
  // What follows an act by itself is not waited for by anybody; a kill would lose what has not reached the disk.
  await_that([&] { return count(orlop.audit(), "container.launched") == 2; }, "its second start is on record");
  orlop.kill_supervisor();
  need(orlop.client().stop("one"));
  need(orlop.apply(""));
  await_that([&] { return orlop.status().at("containers").empty(); }, "it is removed");

  std::vector<std::string> asked;
  std::map<std::string, int> steps;
  for (const audit::Entry& entry : orlop.audit()) {
    const audit::Record& record = entry.record;
    if (record.actor) {
      CHECK(record.actor->uid == ::getuid());
      CHECK(record.actor->pid == ::getpid());
      CHECK_THAT(record.actor->executable, Contains("supervisor_kernel_test"));
      asked.push_back(record.what);
    } else {
      CHECK(record.object.starts_with("container/one"));
      ++steps[record.what];
    }
    CHECK_FALSE(record.why.empty());
  }
  CHECK(asked ==
        std::vector<std::string>{"image.import", "host.apply", "container.restart", "container.stop", "host.apply"});
  CHECK(steps["container.want"] == 1);
  CHECK(steps["container.launched"] == 2);
  CHECK(steps["container.exit"] == 2);
  CHECK(steps["container.adopt"] == 1);
  CHECK(steps["container.forget"] == 1);
}

TEST_CASE("a peer without a role is refused, and the refusal is on record", "[supervisor][root][T61]") {
  Instance orlop;
  need(orlop.apply(""));
  // The directory and the socket would keep a stranger out by themselves: here they let one in.
  const std::string socket = orlop.root() + "/run/control.sock";
  need(::chmod(orlop.root().c_str(), 0755) == 0 && ::chmod(socket.c_str(), 0666) == 0);
  CHECK_FALSE(asks_as_stranger(socket));
  await_that(
      [&] {
        for (const audit::Entry& entry : orlop.audit())
          if (entry.record.verdict == audit::Verdict::denied && entry.record.actor && entry.record.actor->uid == 4711)
            return true;
        return false;
      },
      "the denial is on record");
}
