// The system-call filter: an allow-list compiled by libseccomp, handed to the child as raw BPF.
//
// Four answers: allowed; EPERM for calls that are known and dangerous; EAFNOSUPPORT for sockets that are not of the
// list, as from a kernel without them; ENOSYS for everything else, so that a program probing for a newer call falls
// back. Foreign architectures (x32, i386) end the process. Arguments that the kernel takes as int are compared by their
// low 32 bits only: the filter sees 64.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace orlop::sandbox {

/// A compiled filter, ready for seccomp(2) SECCOMP_SET_MODE_FILTER.
using SeccompFilter = std::vector<sock_filter>;

/// Names of the system calls that a filter for a process with these capabilities lets through without a condition on
/// their arguments, and those let through under one ("clone": no new namespace). Sorted. For `inspect --json`.
struct AllowedCalls {
  std::vector<std::string> always;
  std::vector<std::string> conditional;
};
AllowedCalls allowed_calls(std::uint64_t capabilities);

/// Compiles the filter for a process with these capabilities (bit n: capability n). Takes milliseconds: call it through
/// a SeccompCache. Source: seccomp(2), seccomp_rule_add(3).
Result<SeccompFilter> compile_filter(std::uint64_t capabilities);

/// One compiled filter a profile, made at first use.
class SeccompCache {
 public:
  Result<std::shared_ptr<const SeccompFilter>> get(std::uint64_t capabilities);

 private:
  struct Entry {
    std::uint64_t capabilities;
    std::shared_ptr<const SeccompFilter> filter;
  };
  std::vector<Entry> entries_;  // a handful of profiles on any host: a search beats a map
};

}  // namespace orlop::sandbox
