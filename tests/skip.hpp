// Skipping aloud: a test that this kernel or machine cannot run says so, and is counted.
//
// A skip is a line `SKIPPED: <test case>: <reason>` on standard output. ./check collects these lines and compares them
// with tests/skips/KIND.txt; one that is not listed there fails the check, so nothing is ever skipped in silence.
#pragma once

#include <string_view>

namespace orlop {

/// Prints the line for the running test case and remembers that it was skipped. Use ORLOP_SKIP, which also returns.
void skip_test_case(std::string_view reason);

}  // namespace orlop

/// Leaves the body of a TEST_CASE unfinished, for a reason that is a property of the machine: one line, without a full
/// stop, constant for one kind of kernel ("no cgroup v1 here"). What was checked before it still counts.
#define ORLOP_SKIP(reason)           \
  do {                               \
    ::orlop::skip_test_case(reason); \
    return;                          \
  } while (false)
