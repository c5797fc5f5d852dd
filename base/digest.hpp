// SHA-256, by OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace orlop {

/// A SHA-256 value. Comparable; text form is 64 lower-case hexadecimal digits.
struct Sha256 {
  std::array<unsigned char, 32> bytes{};
  friend auto operator<=>(const Sha256&, const Sha256&) = default;
};

/// 64 lower-case hexadecimal digits.
std::string hex(const Sha256& digest);
/// Reads exactly 64 lower-case hexadecimal digits; config/… otherwise.
Result<Sha256> parse_hex(std::string_view digits);
/// The digest of `bytes`.
Sha256 sha256(std::string_view bytes);

/// A running SHA-256.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  ~Sha256Stream();
  void update(std::string_view bytes);
  /// The digest of all bytes so far. The stream can go on afterwards.
  [[nodiscard]] Sha256 finish() const;

 private:
  struct Free;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace orlop
