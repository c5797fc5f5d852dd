#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/gate/gate_fuzz.hpp"

TEST_CASE("the gate keeps its promises on the fuzzer's seeds and on 20,000 changed ones", "[control][gate][T62]") {
  std::mt19937 random(1);  // the same changes each time
  std::size_t seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(GATE_SEEDS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string seed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    REQUIRE_FALSE(seed.empty());
    orlop::control::check_gate(seed);
    for (int i = 0; i < 4000; ++i) {
      std::string changed = seed;
      for (int change = 0; change <= i % 4; ++change) changed[random() % changed.size()] = static_cast<char>(random());
      orlop::control::check_gate(changed);
    }
    ++seeds;
  }
  CHECK(seeds == 5);
}
