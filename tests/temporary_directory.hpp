// A directory of a test's own, removed with all it holds.
#pragma once

#include <string>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop {

class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_("/tmp/orlop-test.XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw std::bad_alloc();
    fd_ = sys::open(path_, O_RDONLY | O_DIRECTORY).value();
  }
  ~TemporaryDirectory() {
    const Result<UniqueFd> parent = sys::open("/tmp", O_RDONLY | O_DIRECTORY);
    if (parent) (void)remove_tree(*parent, path_.substr(5));  // what stays is the test's own mount: visible, harmless
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] BorrowedFd fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace orlop
