// The main of every test program. Exit status: 0 all passed, 1 something failed, and, where ORLOP_SKIP_STATUS is set
// (ctest runs one test case a process), that number if nothing failed but a test case was skipped.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>

#include "tests/skip.hpp"

namespace orlop {
namespace {

int skipped = 0;

}  // namespace

void skip_test_case(std::string_view reason) {
  ++skipped;
  std::cout << "SKIPPED: " << Catch::getResultCapture().getCurrentTestName() << ": " << reason << std::endl;
}

}  // namespace orlop

int main(int argc, char** argv) {
  if (Catch::Session().run(argc, argv) != 0) return 1;
  const char* const status = std::getenv("ORLOP_SKIP_STATUS");
  return orlop::skipped > 0 && status != nullptr ? std::atoi(status) : 0;
}
