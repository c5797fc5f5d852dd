#include "base/digest.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <new>

namespace orlop {

struct Sha256Stream::Free {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

struct Sha256Stream::State {
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  // Both fail only without memory, or in a crypto policy without SHA-256: nothing in orlop can go on then.
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1) throw std::bad_alloc();
}
Sha256Stream::Sha256Stream(Sha256Stream&&) noexcept = default;
Sha256Stream& Sha256Stream::operator=(Sha256Stream&&) noexcept = default;
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::update(std::string_view bytes) {
  EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
}

Sha256 Sha256Stream::finish() const {
  const std::unique_ptr<EVP_MD_CTX, Free> copy(EVP_MD_CTX_new());
  Sha256 digest;
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), state_->context.get()) != 1) throw std::bad_alloc();
  EVP_DigestFinal_ex(copy.get(), digest.bytes.data(), nullptr);
  return digest;
}

Sha256 sha256(std::string_view bytes) {
  Sha256Stream stream;
  stream.update(bytes);
  return stream.finish();
}

std::string hex(const Sha256& digest) {
  std::string digits;
  digits.reserve(64);
  for (const unsigned char byte : digest.bytes) fmt::format_to(std::back_inserter(digits), "{:02x}", byte);
  return digits;
}

Result<Sha256> parse_hex(std::string_view digits) {
  const auto value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  Sha256 digest;
  bool good = digits.size() == 64;
  for (std::size_t i = 0; good && i < digest.bytes.size(); ++i) {
    const int high = value(digits[2 * i]);
    const int low = value(digits[2 * i + 1]);
    good = high >= 0 && low >= 0;
    digest.bytes.at(i) = static_cast<unsigned char>(high * 16 + low);
  }
  if (!good)
    return fail(ErrorKind::config, fmt::format("'{}' is not a SHA-256 digest", digits),
                "write 64 lower-case hexadecimal digits");
  return digest;
}

}  // namespace orlop
