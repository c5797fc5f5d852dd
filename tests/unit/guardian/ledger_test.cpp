// The guardian's decisions, with descriptors that are only numbers: what is open, and whose child lives, the test says.
#include "guardian/ledger.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string_view>
#include <vector>

using namespace orlop::guardian;

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

// The ledger's Kernel is plain function pointers, so the fake one is a place they can reach.
std::multiset<int> open_fds;
std::set<int> living_pidfds;
constexpr Kernel fake = {.is_living_child = [](int pidfd) { return living_pidfds.contains(pidfd); },
                         .close_fd =
                             [](int fd) {
                               REQUIRE(open_fds.contains(fd));
                               open_fds.erase(open_fds.find(fd));
                             }};

FdName name(std::string_view text) {
  FdName result;
  std::copy(text.begin(), text.end(), result.text);
  return result;
}

struct Ledger {
  std::unique_ptr<State> state = std::make_unique<State>();

  Ledger() {
    open_fds.clear();
    living_pidfds.clear();
    begin(*state);
    begin_connection(*state, second_ns);
  }
  bool ask(const Request& request, std::vector<int> fds = {}, std::size_t size = sizeof(Request), bool cut = false) {
    for (const int fd : fds) open_fds.insert(fd);
    return take_request(
        *state, {.request = &request, .size = size, .fds = fds.data(), .fd_count = fds.size(), .fds_cut = cut}, fake);
  }
  /// Everything that is due, sent.
  std::vector<Report> hear(std::vector<int>* fds = nullptr) {
    std::vector<Report> reports;
    Report report;
    int fd = -1;
    while (next_report(*state, report, fd)) {
      reports.push_back(report);
      if (fds != nullptr && fd >= 0) fds->push_back(fd);
      report_sent(*state, report);
    }
    return reports;
  }
  std::vector<Report> hello() {
    REQUIRE(ask({.kind = RequestKind::hello}));
    return hear();
  }
  Report add(std::uint64_t start, int pid, int pidfd, bool lives = true) {
    if (lives) living_pidfds.insert(pidfd);
    REQUIRE(ask({.kind = RequestKind::register_start, .start = start, .pid = pid}, {pidfd}));
    return hear().at(0);
  }
};

std::vector<ReportKind> kinds(const std::vector<Report>& reports) {
  std::vector<ReportKind> result;
  for (const Report& report : reports) result.push_back(report.kind);
  return result;
}

}  // namespace

TEST_CASE("a new guardian answers hello with an empty replay", "[guardian]") {
  Ledger ledger;
  CHECK(ledger.hear().empty());
  const auto reports = ledger.hello();
  CHECK(kinds(reports) == std::vector{ReportKind::welcome, ReportKind::replay_end});
  CHECK(reports[0].hands_off == 0);
}

TEST_CASE("hello comes first and once", "[guardian]") {
  Ledger ledger;
  CHECK_FALSE(ledger.ask({.kind = RequestKind::pong}));
  ledger.hello();
  CHECK(ledger.ask({.kind = RequestKind::pong}));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::hello}));
}

TEST_CASE("an exit is told once, told again to each successor, and forgotten when acknowledged", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  CHECK(ledger.add(7, 100, 50).kind == ReportKind::registered);
  record_exit(*ledger.state, {.pid = 100, .code = 1, .status = 3});
  auto reports = ledger.hear();
  REQUIRE(kinds(reports) == std::vector{ReportKind::exited});
  CHECK(reports[0].start == 7);
  CHECK(reports[0].exit.status == 3);
  CHECK(ledger.hear().empty());

  begin_connection(*ledger.state, second_ns);
  reports = ledger.hello();
  REQUIRE(kinds(reports) == std::vector{ReportKind::welcome, ReportKind::exited, ReportKind::replay_end});
  CHECK(reports[0].counts.exited == 1);

  CHECK(ledger.ask({.kind = RequestKind::acknowledge, .start = 7}));
  CHECK(open_fds.empty());
  begin_connection(*ledger.state, second_ns);
  CHECK(ledger.hello().size() == 2);
}

TEST_CASE("an acknowledgement of what was not told changes nothing", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  ledger.add(7, 100, 50);
  CHECK(ledger.ask({.kind = RequestKind::acknowledge, .start = 7}));
  CHECK(ledger.ask({.kind = RequestKind::acknowledge, .start = 8}));
  record_exit(*ledger.state, {.pid = 100});
  CHECK(ledger.ask({.kind = RequestKind::acknowledge, .start = 7}));
  CHECK(kinds(ledger.hear()) == std::vector{ReportKind::exited});
}

TEST_CASE("a child that is dead already is answered gone, and nothing of it is kept", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  Request request{.kind = RequestKind::register_start, .start = 7, .pid = 100};
  request.names[0] = name("stdout/7");
  CHECK(ledger.ask(request, {50, 51}));
  CHECK(kinds(ledger.hear()) == std::vector{ReportKind::gone});
  CHECK(open_fds.empty());
  CHECK(ledger.state->counts.kept == 0);
}

TEST_CASE("descriptors are kept under their names until dropped, and an acknowledged exit leaves them", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  living_pidfds.insert(50);
  Request request{.kind = RequestKind::register_start, .start = 7, .pid = 100};
  request.names[0] = name("stdout/7");
  request.names[1] = name("stderr/7");
  CHECK(ledger.ask(request, {50, 51, 52}));
  ledger.hear();
  CHECK(ledger.ask({.kind = RequestKind::keep, .names = {name("mntns")}}, {60}));
  record_exit(*ledger.state, {.pid = 100});
  ledger.hear();
  CHECK(ledger.ask({.kind = RequestKind::acknowledge, .start = 7}));
  CHECK(open_fds == std::multiset{51, 52, 60});

  CHECK(ledger.ask({.kind = RequestKind::keep, .names = {name("mntns")}}, {61}));
  CHECK(open_fds == std::multiset{51, 52, 61});
  CHECK(ledger.ask({.kind = RequestKind::drop, .names = {name("stdout/7")}}));
  CHECK(ledger.ask({.kind = RequestKind::drop, .names = {name("unknown")}}));
  begin_connection(*ledger.state, second_ns);
  REQUIRE(ledger.ask({.kind = RequestKind::hello}));
  std::vector<int> fds;
  const auto reports = ledger.hear(&fds);
  CHECK(kinds(reports) == std::vector{ReportKind::welcome, ReportKind::kept, ReportKind::kept, ReportKind::replay_end});
  CHECK(fds == std::vector{52, 61});
}

TEST_CASE("a start that is known is refused, and the first one stays", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  ledger.add(7, 100, 50);
  const Report report = ledger.add(7, 101, 51);
  CHECK(report.kind == ReportKind::refused);
  CHECK(report.refusal == Refusal::known_start);
  CHECK(open_fds == std::multiset{50});
}

TEST_CASE("one start beyond the last slot is refused, and a slot given back is used again", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  for (int i = 0; i < static_cast<int>(max_starts); ++i)
    if (ledger.add(1 + i, 1000 + i, 1 + i).kind != ReportKind::registered) FAIL("start " << i);
  CHECK(ledger.add(100'000, 100'000, 100'000).refusal == Refusal::no_slot);
  record_exit(*ledger.state, {.pid = 1000});
  ledger.hear();
  CHECK(ledger.ask({.kind = RequestKind::acknowledge, .start = 1}));
  CHECK(ledger.add(100'000, 100'000, 100'000).kind == ReportKind::registered);
}

TEST_CASE("a descriptor that did not arrive is refused, not a broken protocol", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  const Request keep{.kind = RequestKind::keep, .names = {name("mntns")}};
  CHECK(ledger.ask(keep, {}, sizeof keep, true));
  const auto reports = ledger.hear();
  REQUIRE(kinds(reports) == std::vector{ReportKind::refused});
  CHECK(reports[0].refusal == Refusal::no_descriptor);
  CHECK(reports[0].name == name("mntns"));
  CHECK_FALSE(ledger.ask(keep, {60}, sizeof keep, true));  // more were sent than any Request may carry
}

TEST_CASE("a message that breaks the protocol changes nothing and leaves no descriptor open", "[guardian]") {
  Ledger ledger;
  ledger.hello();
  Request unterminated{.kind = RequestKind::keep};
  std::fill(std::begin(unterminated.names[0].text), std::end(unterminated.names[0].text), 'x');
  Request gap{.kind = RequestKind::register_start, .start = 7, .pid = 100};
  gap.names[1] = name("stdout/7");
  CHECK_FALSE(ledger.ask({.kind = RequestKind::pong}, {}, sizeof(Request) - 1));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::pong}, {}, sizeof(Request) + 1));
  CHECK_FALSE(ledger.ask({.version = 99, .kind = RequestKind::pong}));
  CHECK_FALSE(ledger.ask({.kind = static_cast<RequestKind>(99)}));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::pong}, {60}));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::keep, .names = {name("mntns")}}));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::keep}, {60}));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::drop}));
  CHECK_FALSE(ledger.ask(unterminated, {60}));
  CHECK_FALSE(ledger.ask(gap, {60, 61}));
  CHECK_FALSE(ledger.ask({.kind = RequestKind::register_start, .start = 7, .pid = 0}, {60}));
  CHECK(open_fds.empty());
  CHECK(ledger.hear().empty());
}

TEST_CASE("the fifth death in a minute makes the next start hands-off, and a quiet minute ends that", "[guardian]") {
  Ledger ledger;
  State& state = *ledger.state;
  std::uint64_t now = second_ns;
  for (const std::uint64_t delay_ms : {0, 100, 200, 300, 1000, 1000}) {
    CHECK(state.hands_off == (delay_ms == 1000 && state.counts.deaths > 4 ? 1 : 0));
    CHECK(record_death(state, now) == now + delay_ms * 1'000'000);
    now += second_ns;
    begin_connection(state, now);
  }
  CHECK(ledger.hello()[0].hands_off == 1);
  begin_connection(state, now + 60 * second_ns);
  CHECK(ledger.hello()[0].hands_off == 0);
  CHECK(record_death(state, now + 60 * second_ns) == now + 60 * second_ns);
}

TEST_CASE("histories of kills, exits and answers lose no exit, tell none twice, and leak no descriptor", "[guardian]") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    Ledger ledger;
    State& state = *ledger.state;
    std::map<std::uint64_t, int> running;  // start to pid
    std::map<std::uint64_t, int> exits;    // not acknowledged: start to status
    std::set<std::uint64_t> told;          // on this connection
    std::set<std::string> kept;
    int next = 1;
    const auto hear_some = [&](bool all) {
      Report report;
      int fd = -1;
      while ((all || random() % 4 != 0) && next_report(state, report, fd)) {
        if (report.kind == ReportKind::exited) {
          if (!exits.contains(report.start) || report.exit.status != exits[report.start]) FAIL("seed " << seed);
          if (!told.insert(report.start).second) FAIL("told twice, seed " << seed);
        }
        if (fd >= 0 && !open_fds.contains(fd)) FAIL("a closed descriptor is told, seed " << seed);
        report_sent(state, report);
      }
      return !next_report(state, report, fd);
    };
    for (int step = 0; step < 400; ++step) {
      const bool listens = hear_some(random() % 2 == 0);
      switch (random() % 8) {
        case 0:  // orlopd is killed
          begin_connection(state, second_ns);
          told.clear();
          break;
        case 1:
          if (!running.empty()) {
            const auto which = std::next(running.begin(), random() % running.size());
            exits[which->first] = static_cast<int>(which->first % 200);
            record_exit(state, {.pid = which->second, .status = exits[which->first]});
            running.erase(which);
          }
          break;
        case 2:
          if (listens && state.phase == Phase::live && !told.empty()) {
            const std::uint64_t start = *told.begin();
            if (!ledger.ask({.kind = RequestKind::acknowledge, .start = start})) FAIL("seed " << seed);
            told.erase(start);
            exits.erase(start);
          }
          break;
        case 3:
          if (listens && state.phase == Phase::live) {
            const std::string key = "fd/" + std::to_string(random() % 10);
            if (random() % 2 == 0) {
              if (!ledger.ask({.kind = RequestKind::keep, .names = {name(key)}}, {100'000 + next++})) FAIL("keep");
              kept.insert(key);
            } else {
              if (!ledger.ask({.kind = RequestKind::drop, .names = {name(key)}})) FAIL("drop");
              kept.erase(key);
            }
          }
          break;
        default:
          if (!listens) break;
          if (state.phase == Phase::silent) {
            if (!ledger.ask({.kind = RequestKind::hello})) FAIL("hello");
          } else if (state.phase == Phase::live && running.size() < 50) {
            const int n = next++;
            living_pidfds.insert(n);
            if (!ledger.ask({.kind = RequestKind::register_start, .start = static_cast<std::uint64_t>(n), .pid = n},
                            {n}))
              FAIL("register");
            running[n] = n;
          }
      }
      if (open_fds.size() != running.size() + exits.size() + kept.size()) FAIL("descriptors, seed " << seed);
    }
    begin_connection(state, second_ns);
    told.clear();
    REQUIRE(ledger.ask({.kind = RequestKind::hello}));
    hear_some(true);
    CHECK(told.size() == exits.size());
    CHECK(state.counts.running == running.size());
    CHECK(state.counts.kept == kept.size());
  }
}
