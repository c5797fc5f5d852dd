// orlopd is killed again and again, at moments that a seed decides, while everything else goes on.
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "supervisor/logs/reader.hpp"
#include "tests/kernel/supervisor/host_view.hpp"

using namespace orlop;
using std::chrono::milliseconds;

namespace {

constexpr int kills = 30;

// Kills orlopd `kills` times from a thread of its own, each a random while after the one before: within its start-up,
// within a request, or when all is quiet. It checks nothing itself: Catch is the main thread's.
class Killer {
 public:
  Killer(const Instance& orlop, unsigned seed) : thread_([this, &orlop, seed] { run(orlop, seed); }) {}
  ~Killer() { thread_.join(); }
  Killer(const Killer&) = delete;
  Killer& operator=(const Killer&) = delete;
  [[nodiscard]] bool is_over() const { return over_; }

 private:
  void run(const Instance& orlop, unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < kills;) {
      std::this_thread::sleep_for(milliseconds(std::uniform_int_distribution(5, 250)(random)));
      const pid_t victim = orlop.supervisor();
      if (victim > 0 && ::kill(victim, SIGKILL) == 0) ++i;
    }
    over_ = true;
  }
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

// Asks once; a supervisor that dies before its answer is what this file is about.
template <class Ask>
void attempt(const Instance& orlop, Ask ask) {
  if (Result<control::Client> client = control::Client::connect(orlop.root() + "/run/control.sock", milliseconds(500)))
    (void)ask(*client);
}

std::string host_file(int variant, const std::string& image) {
  std::string text;
  for (int i = 0; i < 4; ++i)
    text += fmt::format("[container.c{}]\nimage = \"{}\"\ncommand = [\"/bin/sleep\", \"{}\"]\nstop.grace = \"0s\"\n", i,
                        image, i == 3 ? 1000 : 1000 + variant);
  return text;
}

}  // namespace

TEST_CASE("kill -9 of orlopd within starts, stops, replacements and imports neither doubles nor loses anything",
          "[supervisor][root][T66]") {
  Instance orlop({.guardian = {"--chaos"}});
  const std::string image = orlop.busybox();
  const std::size_t guardian_fds = open_fds(orlop.guardian());
  const TemporaryDirectory layout;
  need(shell(fmt::format("{}/tests/images/busybox-layout {}/oci", ORLOP_SOURCE, layout.path())).exit_code == 0);
  {
    const Killer killer(orlop, 4711);
    for (int round = 0; !killer.is_over(); ++round) {
      const UniqueFd file = need(sys::memfd("host.toml"));
      need(write_all(file, host_file(round % 3, image)));
      attempt(orlop, [&](control::Client& client) { return client.apply(file, "host.toml", false); });
      attempt(orlop, [&](control::Client& client) { return client.restart("c3"); });
      attempt(orlop, [&](control::Client& client) { return client.stop("c1"); });
      if (round % 2 != 0) continue;
      const UniqueFd source = need(sys::open(layout.path() + "/oci", O_RDONLY | O_DIRECTORY));
      attempt(orlop, [&](control::Client& client) {
        return client.import_image(source, control::ImageSource::layout,
                                   {.name = "other", .mkdir = {fmt::format("/m{}", round)}});
      });
    }
  }
  need(orlop.apply(host_file(9, image)));
  std::set<pid_t> pids;
  std::set<std::string> names;
  for (int i = 0; i < 4; ++i) {
    const std::string name = fmt::format("c{}", i);
    const auto is_current = [&](const nlohmann::json& now) {
      const std::string current = fmt::format("sleep{}{}", '\0', i == 3 ? 1000 : 1009);
      return now.at("state") == "running" &&
             read_text(fmt::format("/proc/{}/cmdline", now.at("pid").get<pid_t>())).contains(current);
    };
    const nlohmann::json now = orlop.await(name, is_current, "its last configuration");
    pids.insert(now.at("pid").get<pid_t>());
    names.insert(fmt::format("{}.{}", name, now.at("start").get<std::uint64_t>()));
  }
  const auto are_only_those = [&] {
    std::set<std::string> there;
    for (const std::string& leaf : leaves(orlop)) there.insert(leaf.substr(leaf.rfind('/') + 1));
    return there == names && contained(orlop) == pids;
  };
  await_that(are_only_those, "nothing but the four containers is there");
  std::set<pid_t> family = pids;
  family.insert(orlop.supervisor());
  CHECK(descendants(orlop.guardian()) == family);

  need(orlop.apply(""));
  await_that([&] { return orlop.status().at("containers").empty(); }, "all are removed");
  CHECK(leaves(orlop).empty());
  CHECK(descendants(orlop.guardian()) == std::set<pid_t>{orlop.supervisor()});
  CHECK(open_fds(orlop.guardian()) == guardian_fds);
  CHECK(shell(fmt::format("find {}/state/images -name 'intake-*'", orlop.root())).output.empty());
  CHECK(nlohmann::json::parse(need(orlop.client().list_images())).at("broken").empty());
  CHECK_FALSE(orlop.audit().empty());
}

TEST_CASE("under a writer at full speed, kill -9 of orlopd loses, doubles and reorders no byte",
          "[supervisor][root][T66][T37]") {
  Instance orlop({.guardian = {"--chaos"}});
  constexpr int bursts = 250;
  constexpr int lines = 10'000;
  // Each burst is more than the pipe holds; the pauses let it last longer than the kills.
  need(orlop.apply(fmt::format(R"(
[container.writer]
image   = "BUSYBOX"
run     = "once"
command = ["/bin/sh", "-c", "i=0; while [ $i -lt {} ]; do seq $((i * {})) $((i * {} + {})); i=$((i + 1)); usleep 8000; done"]
log     = {{ size = "128MiB", files = 2, rate = "8GiB/s", full = "block" }}
)",
                               bursts, lines, lines, lines - 1)));
  {
    const Killer killer(orlop, 815);
    const int code = [&] {
      for (;;) {  // a connection ends with the orlopd that it led to
        Result<control::Client> client =
            control::Client::connect(orlop.root() + "/run/control.sock", milliseconds(500));
        if (!client) continue;
        if (const Result<control::Exit> end = client->wait("writer")) return end->exit_code;
      }
    }();
    CHECK(code == 0);
  }
  control::Files files = need(orlop.client().log_files("writer"));
  logs::Reader reader =
      need(logs::Reader::open(need(logs::parse_description({std::move(files.json), std::move(files.files)})), {}));
  int next = 0;
  std::uint64_t dropped = 0;
  while (const std::optional<logs::Line> line = need(reader.next())) {
    dropped += line->dropped_bytes;
    if (line->dropped_bytes == 0 && line->log != fmt::format("{}\n", next++))
      FAIL("line " << next - 1 << ": " << line->log);
  }
  CHECK(next == bursts * lines);
  CHECK(dropped == 0);
}
