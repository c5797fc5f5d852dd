// The gate before sd-bus, as a machine of bytes without input or output: what a client sends goes in, what sd-bus may
// see comes out. sd-bus (252) has no bound on the size of a message, hangs when a call arrives together with BEGIN, and
// its anonymous mode would believe anyone; the gate gives it whole, small, plain units, one at a time, from a peer whom
// the kernel has named.
//
// Invariants: nothing is forwarded but complete SASL lines of the few known forms, then complete method calls of at
// most max_call_bytes. A claimed length reserves no memory: only bytes that came are kept. After a refusal the gate is
// done and the connection must be closed.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace orlop::control {

inline constexpr std::size_t max_line_bytes = 512;       ///< of one SASL line, its CR LF included
inline constexpr std::size_t max_lines = 12;             ///< SASL lines before BEGIN, BEGIN included
inline constexpr std::size_t max_call_bytes = 1U << 20;  ///< of one D-Bus message, its header included
inline constexpr std::size_t max_call_fds = 4;           ///< that one message may bring

/// What goes to sd-bus in one piece, to be processed before the next.
struct Unit {
  std::string bytes = {};
  std::size_t fds = 0;   ///< how many of the descriptors received so far, in order, belong to it
  bool is_call = false;  ///< a message; otherwise a line of authentication
};

class Gate {
 public:
  /// @param peer     the uid that the kernel gave for the client: the only one that EXTERNAL may claim
  /// @param max_fds  that one message may bring, up to max_call_fds
  Gate(uid_t peer, std::size_t max_fds) : peer_(peer), max_fds_(max_fds) {}

  /// How many bytes the next read should ask for, at least 1: never past the end of a message, so that descriptors
  /// arrive with the message that they belong to.
  [[nodiscard]] std::size_t want() const;

  /// Takes bytes as they came, in pieces of any size, with the number of descriptors that came along; these belong to
  /// the message that is unfinished or begins next.
  /// @return the units that are complete now; corrupt/…, denied/… or limit/… when the connection must be closed
  Result<std::vector<Unit>> feed(std::string_view bytes, std::size_t fds);

  /// Whether BEGIN has passed.
  [[nodiscard]] bool is_authenticated() const { return phase_ == Phase::messages; }
  /// Whether some bytes of a message have come, but not all.
  [[nodiscard]] bool is_within_message() const { return phase_ == Phase::messages && !bytes_.empty(); }

 private:
  enum class Phase : unsigned char { nul, lines, messages };

  Result<std::string> translate(std::string_view line);
  Result<std::size_t> message_size() const;
  Result<void> check_identity(std::string_view hex_digits) const;

  uid_t peer_;
  std::size_t max_fds_;
  Phase phase_ = Phase::nul;
  bool identified_ = false;       // EXTERNAL was claimed rightly: BEGIN may come
  bool awaits_identity_ = false;  // EXTERNAL without a claim: DATA brings it
  std::size_t lines_ = 0;
  std::size_t fds_ = 0;
  std::size_t size_ = 0;  // of the unfinished message, once its first 16 bytes are there
  std::string bytes_;     // the unfinished line or message
};

}  // namespace orlop::control
