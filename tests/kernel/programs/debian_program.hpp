// A program of Debian's as an operator would run it: its image by tests/images/debian-layout, its section of host.toml
// as docs/operations.md prints it, and its own client beside it in its network namespace.
#pragma once

#include <string>

#include "tests/kernel/supervisor/instance.hpp"

namespace orlop {

/// Why no image of Debian's can be had on this machine, for ORLOP_SKIP; empty if `program`'s can.
std::string no_debian_image(const std::string& program);

class DebianProgram {
 public:
  /// Imports the image of `program` ("nginx", "redis", "postgresql"), applies its section of docs/operations.md, and
  /// waits until its own health check calls the container of that name healthy. Borrows `orlop`.
  DebianProgram(Instance& orlop, std::string program);

  /// Applies the section again with `line` at its end, and waits until the container is another and healthy.
  void replace_with(const std::string& line);
  nlohmann::json await_healthy() const;

  /// Runs `command` of the image in the container's network, on its root and as nobody, and returns
  /// what it wrote; ends the test, with the container's log, if it does not exit with 0.
  std::string client(const std::string& command) const;

 private:
  Instance& orlop_;
  std::string program_;
  std::string section_;  ///< with the image's reference in it
};

}  // namespace orlop
