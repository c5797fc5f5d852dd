// Every default of the host file, in one place. The structs of host.hpp take their initial values from here, the
// effective print shows them, and docs/host-file.md is held against them by a test. Why each has its value: a container
// that asks for nothing gets finite limits, and what an operator of Docker or systemd would guess where they agree.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/size.hpp"
#include "base/time.hpp"

namespace orlop::config::defaults {

using namespace std::chrono_literals;

// [host]
inline constexpr Bytes reserve_memory = 128_MiB;
inline constexpr std::uint64_t reserve_cpu_millis = 100;

// A tmpfs: what `tmpfs = { "/x" = {} }` gets, and those that every container has.
inline constexpr Bytes tmpfs_size = 16_MiB;
inline constexpr std::uint64_t tmpfs_inodes = 4096;
inline constexpr mode_t tmpfs_mode = 0755;
struct StandardTmpfs {
  std::string_view target;
  Bytes size;
  mode_t mode;
};
inline constexpr std::array<StandardTmpfs, 3> standard_tmpfs = {
    StandardTmpfs{"/tmp", 16_MiB, 01777}, {"/run", 16_MiB, 0755}, {"/dev/shm", 64_MiB, 01777}};

// Docker's own, so that a check moved here behaves as it did.
inline constexpr Duration health_interval = 30s;
inline constexpr Duration health_timeout = 30s;
inline constexpr std::uint64_t health_retries = 3;
inline constexpr Duration health_start_period = 0s;

// Restarting goes on for ever by default: a host that nobody visits must recover from an outage that outlasts any
// count.
inline constexpr Duration restart_backoff_min = 1s;
inline constexpr Duration restart_backoff_max = 1min;
inline constexpr std::uint64_t restart_limit = 0;
inline constexpr Duration restart_window = 10min;

inline constexpr Duration stop_grace = 10s;

inline constexpr Bytes log_size = 10_MiB;
inline constexpr std::uint64_t log_files = 3;
inline constexpr Bytes log_rate = 1_MiB;  // a second

/// PATH of a container whose image and file name none.
inline constexpr std::string_view path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Resource limits of the process (getrlimit(2)); those not named here are unlimited.
inline constexpr std::uint64_t open_files_soft = 1024;
inline constexpr std::uint64_t open_files_hard = 65536;
inline constexpr Bytes locked_memory = 64_KiB;
inline constexpr Bytes stack_soft = 8_MiB;
/// Not 0: a core_pattern that pipes to a program runs it even at 0; only exactly 1 stops it. Source: fs/coredump.c.
inline constexpr std::uint64_t core_bytes = 1;

}  // namespace orlop::config::defaults
