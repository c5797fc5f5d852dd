// File descriptors with an owner. UniqueFd closes; BorrowedFd looks.
#pragma once

#include <utility>

namespace orlop {

/// Owns one file descriptor, or none (-1). Descriptor 0 is valid. close(2) is not retried: Linux has released it even
/// on EINTR.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor away; the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is owned and takes `fd`.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

/// A descriptor that someone else owns and keeps open for as long as this is used.
class BorrowedFd {
 public:
  BorrowedFd(const UniqueFd& owner) noexcept
      : fd_(owner.get()) {}  // NOLINT(google-explicit-constructor): a view, like string_view
  explicit BorrowedFd(int fd) noexcept : fd_(fd) {}
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace orlop
