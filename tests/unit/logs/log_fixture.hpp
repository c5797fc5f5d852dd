// A container's log in a directory of the test's own, with a pipe for each stream and a clock that the test moves.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/logs/reader.hpp"
#include "supervisor/logs/spool.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop::logs {

struct LogFixture {
  TemporaryDirectory directory;
  std::array<sys::Pipe, 2> pipes{sys::pipe(O_NONBLOCK).value(), sys::pipe(O_NONBLOCK).value()};
  Moment now{BootTime(std::chrono::hours(1)), parse_rfc3339("2026-01-01T00:00:00Z").value()};

  Spool open(Limits limits = {}, Stream stream = Stream::out) {
    return Spool::open(directory.fd(), "web", stream, limits, now).value();
  }
  void wait(Duration duration) {
    now.boot += duration;
    now.wall += duration;
  }
  void write(std::string_view bytes, Stream stream = Stream::out) {
    write_all(pipes.at(std::to_underlying(stream)).write, bytes).value();
  }
  BorrowedFd pipe(Stream stream = Stream::out) { return pipes.at(std::to_underlying(stream)).read; }
  Source source() { return open_source(directory.fd(), "web").value(); }

  /// All lines that a query gives.
  std::vector<Line> lines(Query query = {}) {
    Reader reader = Reader::open(source(), query).value();
    std::vector<Line> all;
    while (std::optional<Line> line = reader.next().value()) all.push_back(std::move(*line));
    return all;
  }
  /// Their bytes, one after another, each gap as `<N>`.
  std::string bytes(Query query = {}) {
    std::string all;
    for (const Line& line : lines(query))
      all += line.dropped_bytes != 0 ? "<" + std::to_string(line.dropped_bytes) + ">" : line.log;
    return all;
  }
};

}  // namespace orlop::logs
