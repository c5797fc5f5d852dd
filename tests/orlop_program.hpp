// Runs the program `orlop` and keeps what it printed. The test target defines ORLOP, its path.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "tests/need.hpp"

namespace orlop {

/// How it ended.
struct Ended {
  int code = -1;  ///< -1: by a signal
  std::string out;
  std::string err;
};

/// A run of it. Its standard error is read after its standard output, and must fit a pipe.
class OrlopProgram {
 public:
  /// Starts it with `arguments`, and `input` on standard input.
  explicit OrlopProgram(std::vector<std::string> arguments, const std::string& input = {}) {
    sys::Pipe in = need(sys::pipe());
    sys::Pipe out = need(sys::pipe());
    sys::Pipe err = need(sys::pipe());
    need(write_all(in.write, input));
    std::string program = ORLOP;
    std::vector<char*> argv = {program.data()};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    child_ = ::fork();
    need(child_ >= 0);
    if (child_ == 0) {
      ::dup2(in.read.get(), 0);
      ::dup2(out.write.get(), 1);
      ::dup2(err.write.get(), 2);
      ::execv(ORLOP, argv.data());
      ::_exit(127);
    }
    out_ = std::move(out.read);
    err_ = std::move(err.read);
  }
  OrlopProgram(const OrlopProgram&) = delete;
  OrlopProgram& operator=(const OrlopProgram&) = delete;

  /// Waits until it has printed a line.
  void await_line() {
    for (char byte = 0; byte != '\n' && ::read(out_.get(), &byte, 1) == 1;) printed_ += byte;
  }
  /// Waits for its end.
  Ended end() {
    Ended ended{.out = printed_ + need(read_all(out_, 1 << 20)), .err = need(read_all(err_, 1 << 20))};
    int status = 0;
    need(::waitpid(child_, &status, 0) == child_);
    if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
    return ended;
  }

 private:
  pid_t child_ = -1;
  UniqueFd out_;
  UniqueFd err_;
  std::string printed_;
};

/// One run from its start to its end.
inline Ended orlop(std::vector<std::string> arguments, const std::string& input = {}) {
  return OrlopProgram(std::move(arguments), input).end();
}

}  // namespace orlop
