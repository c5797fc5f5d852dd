// What the guardian (orlop-init) and the supervisor (orlopd) say to each other over a SOCK_SEQPACKET pair.
//
// Two fixed-size, plain structs: every message from orlopd is one Request, every message from the guardian one Report,
// with at most a few descriptors beside it (SCM_RIGHTS). No lengths, no text to parse, no union: a field that a kind
// does not use is zero. A message of another size, version or kind, or with descriptors that do not belong to its kind,
// ends the connection; the guardian then replaces orlopd.
//
// Invariants:
//  - The first Request is `hello`. The guardian answers `welcome`, replays what it holds (`kept`, `running`, `exited`)
//    and ends with `replay_end`; it reads the next Request only after that.
//  - A start number names one start of one container for ever; orlopd never gives it out again.
//  - `exited` comes once in a connection and again in each later one, until orlopd has acknowledged it.
//  - What orlopd has sent counts even if it dies in the next instant: the guardian reads the socket to its end first.
//
// Freestanding of base: this header is included by a static program that has no heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace orlop::guardian {

/// Carried by every message. Both sides speak this version and the one before it; there is none before 1.
inline constexpr std::uint32_t protocol_version = 1;
/// The descriptor on which orlopd finds its end of the pair.
inline constexpr int supervisor_socket_fd = 3;
/// Starts that can be in the ledger (running, or exited and unacknowledged) at one time.
inline constexpr std::size_t max_starts = 8192;
/// Named descriptors that can be kept at one time: four for each start.
inline constexpr std::size_t max_kept_fds = 4 * max_starts;
/// Named descriptors that one `register_start` may bring.
inline constexpr std::size_t max_register_fds = 4;
/// Descriptors that one Request may carry: a pidfd and the named ones.
inline constexpr std::size_t max_request_fds = 1 + max_register_fds;

/// The name under which a descriptor is kept: text such as "stdout/17", "userns/524288", "mntns", padded with zeros and
/// ending in at least one. The guardian only compares the bytes.
struct FdName {
  char text[48] = {};

  friend bool operator==(const FdName& a, const FdName& b) noexcept {
    return std::memcmp(a.text, b.text, sizeof a.text) == 0;
  }
  [[nodiscard]] bool empty() const noexcept { return text[0] == '\0'; }
};

/// What orlopd asks. In brackets the fields and descriptors that count.
enum class RequestKind : std::uint32_t {
  hello = 1,           ///< [] the first message of a connection
  register_start = 2,  ///< [start, pid, names; pidfd, then one fd a name] answered `registered`, `gone` or `refused`
  keep = 3,            ///< [names[0]; fd] keeps fd, in place of one kept under that name; answered only if `refused`
  drop = 4,            ///< [names[0]] closes what is kept under that name, if anything
  acknowledge = 5,     ///< [start] the exit is recorded: the guardian forgets the start and closes its pidfd
  pong = 6,            ///< [] answers `ping`
  stopping = 7,  ///< [] everything is stopped: do not restart orlopd, exit with its exit status when no start is left
};

struct Request {
  std::uint32_t version = protocol_version;
  RequestKind kind = RequestKind::hello;
  std::uint64_t start = 0;
  std::int32_t pid = 0;
  std::uint32_t unused = 0;
  FdName names[max_register_fds] = {};
};

/// What the guardian says. In brackets the fields and descriptors that count.
enum class ReportKind : std::uint32_t {
  welcome = 1,     ///< [hands_off, counts] answers `hello`
  kept = 2,        ///< [name; fd] replay: a copy of a kept descriptor, still kept
  running = 3,     ///< [start, pid; pidfd] replay: registered and not yet reaped
  exited = 4,      ///< [start, exit] replay and news
  replay_end = 5,  ///< []
  registered = 6,  ///< [start] the child's exit will be reported: release its gate
  gone = 7,        ///< [start] it was not a living child any more; nothing was kept
  refused = 8,     ///< [start, name, refusal] nothing of that Request was kept
  ping = 9,        ///< [] answer `pong`
  terminate = 10,  ///< [signal] the guardian was asked to end: stop everything, then say `stopping` and exit
};

/// Why a Request was refused.
enum class Refusal : std::uint32_t {
  none = 0,
  no_slot = 1,        ///< max_starts or max_kept_fds is reached
  no_descriptor = 2,  ///< the guardian's own table of descriptors is full (RLIMIT_NOFILE)
  known_start = 3,    ///< this start is in the ledger already
};

/// How a start ended (waitid(2), getrusage(2)).
struct Exit {
  std::int32_t pid = 0;
  std::int32_t code = 0;    ///< si_code: CLD_EXITED, CLD_KILLED or CLD_DUMPED
  std::int32_t status = 0;  ///< si_status: exit status, or the signal's number
  std::uint32_t unused = 0;
  std::uint64_t boottime_ns = 0;  ///< when it was reaped, CLOCK_BOOTTIME
  std::uint64_t user_us = 0;      ///< CPU time of the process and the descendants it waited for
  std::uint64_t system_us = 0;
  std::uint64_t max_rss_kib = 0;  ///< of the largest of them
};

/// What the guardian holds, told at the beginning of a replay.
struct Counts {
  std::uint32_t running = 0;
  std::uint32_t exited = 0;  ///< and not acknowledged
  std::uint32_t kept = 0;
  std::uint32_t deaths = 0;  ///< of orlopd since the guardian began, this boot
};

struct Report {
  std::uint32_t version = protocol_version;
  ReportKind kind = ReportKind::welcome;
  std::uint64_t start = 0;
  std::int32_t pid = 0;
  std::int32_t signal = 0;
  std::uint32_t hands_off = 0;  ///< 1 after 5 deaths in a minute: adopt, answer status, start nothing
  Refusal refusal = Refusal::none;
  Exit exit = {};
  Counts counts = {};
  FdName name = {};
};

// The bytes on the wire are the struct: no padding that could differ, be forgotten, or carry what lay there before.
static_assert(std::is_trivially_copyable_v<Request> && std::has_unique_object_representations_v<Request>);
static_assert(std::is_trivially_copyable_v<Report> && std::has_unique_object_representations_v<Report>);

}  // namespace orlop::guardian
