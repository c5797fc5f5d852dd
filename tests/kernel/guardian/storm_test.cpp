// orlopd killed at random instants while it starts containers as fast as it can.
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/kernel/guardian/harness.hpp"

using namespace orlop;
using namespace orlop::guardian_test;

TEST_CASE("three hundred SIGKILLs of orlopd at random lose no exit, and no child runs that the guardian does not know",
          "[guardian][root]") {
  Guardian guardian({"--chaos"}, "storm");
  std::mt19937 random(20260731);
  for (int kills = 0; kills < 300; ++kills) {
    Peer peer = guardian.announced();
    // The instant is what the test is about: any sleep will do, none is waited for.
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 6000));
    peer.kill();
  }
  // The last life starts nothing new and settles what is open.
  std::ofstream(guardian.directory() + "/quiet").close();
  Peer last = guardian.announced();
  last.kill();
  last = guardian.announced();
  const auto settled = [&](std::set<std::uint64_t>& ran, std::map<std::uint64_t, int>& exits) {
    std::ifstream ran_lines(guardian.directory() + "/ran");
    for (std::uint64_t start = 0; ran_lines >> start;) ran.insert(start);
    std::ifstream log(guardian.directory() + "/log");
    std::string word;
    std::uint64_t start = 0;
    for (int status = 0; log >> word >> start >> status;) {
      const auto [known, fresh] = exits.emplace(start, status);
      if (known->second != status) FAIL("start " << start << " has two exits");
    }
    return std::all_of(ran.begin(), ran.end(), [&](std::uint64_t each) { return exits.contains(each); });
  };
  const BootTime deadline = BootClock::now() + patience;
  std::set<std::uint64_t> ran;
  std::map<std::uint64_t, int> exits;
  while (!settled(ran, exits)) {
    if (BootClock::now() > deadline) FAIL("an exit was lost");
    std::this_thread::yield();
  }
  CHECK(ran.size() > 100);
  for (const auto& [start, status] : exits)
    if (status != (ran.contains(start) ? static_cast<int>(start % 90) : exit_gate_ended))
      FAIL("start " << start << " exited with " << status);
  guardian.signal(SIGTERM);
  CHECK(guardian.exit_status() == 0);
}
