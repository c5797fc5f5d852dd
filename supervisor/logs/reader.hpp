// Reads a log back: lines of both streams, merged by time, from descriptors alone. Memory is bounded by two pieces of
// 16 KiB and two index blocks, whatever the log holds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/time.hpp"
#include "supervisor/logs/files.hpp"
#include "supervisor/logs/index.hpp"

namespace orlop::logs {

/// A longer line is given in pieces of this size, each but the last without a newline.
inline constexpr std::size_t max_piece_bytes = 16384;

/// One line, a piece of one, or a gap.
struct Line {
  WallTime time{};  ///< when its first byte came; of an index that was lost, the file's last change
  Stream stream = Stream::out;
  std::uint64_t start = 0;          ///< the run that wrote it; 0: unknown
  std::string log = {};             ///< its bytes as written, with the newline if there is one; empty for a gap
  std::uint64_t dropped_bytes = 0;  ///< not 0: a gap of that many bytes, and no line

  /// Whether the line goes on in the next piece, or was ended by a gap, the run's end or the end of the log.
  [[nodiscard]] bool partial() const { return dropped_bytes == 0 && (log.empty() || log.back() != '\n'); }
  friend bool operator==(const Line&, const Line&) = default;
};

/// One stream of a source, line by line.
class StreamReader {
 public:
  StreamReader(Stream stream, std::vector<Generation> generations);
  /// The next line, or nothing while there is none. `at_end` true: an unfinished last line is given too.
  Result<std::optional<Line>> next(bool at_end);
  /// Goes on with what a later source of the same stream holds beyond this one.
  void extend(std::vector<Generation> generations);
  /// The files say that the stream goes on in a generation that this reader does not have.
  [[nodiscard]] bool wants_more() const;
  /// Begins again at the first byte.
  void rewind();

 private:
  struct Position;
  Result<bool> advance();
  Result<void> enter_generation();
  void apply(const Record& record);
  void take_line(std::size_t bytes);
  void finish_line();
  Result<bool> read_bytes();

  Stream stream_;
  std::vector<Generation> generations_;
  std::size_t current_ = 0;
  bool entered_ = false;
  std::optional<IndexCursor> cursor_;
  std::optional<Record> ahead_;
  std::uint64_t offset_ = 0;
  std::optional<std::uint64_t> goes_on_in_;
  WallTime time_{};
  std::uint64_t start_ = 0;
  std::string pending_;       ///< bytes read and not yet given, beginning with an unfinished line
  std::size_t searched_ = 0;  ///< how much of pending_ holds no newline
  WallTime pending_time_{};
  std::uint64_t pending_start_ = 0;
  bool line_ended_ = false;  ///< what is pending ends here, newline or not
  std::uint64_t gap_ = 0;
};

/// Which lines.
struct Query {
  std::optional<std::uint64_t> last = {};  ///< only the last so many (`-n`)
  std::optional<WallTime> since = {};      ///< only lines that came then or later
  bool previous = false;                   ///< only the run before the latest one
  bool follow = false;                     ///< an unfinished last line is kept back until it ends
};

/// Both streams of a source.
///
/// Following: call next() until it gives nothing, wait until a file changes (inotify(7) on /proc/self/fd/N of the
/// descriptors works without a path), and when wants_more() says so ask for a new source and extend().
class Reader {
 public:
  /// not_found/… when `query.previous` is asked for and only one run is there.
  static Result<Reader> open(Source source, Query query);
  /// The next line in order of time, or nothing while there is none.
  Result<std::optional<Line>> next();
  /// A stream goes on in a file that this reader was not given.
  [[nodiscard]] bool wants_more() const;
  /// Takes a newer source of the same container.
  void extend(Source source);

 private:
  Reader(Source source, Query query);
  Result<std::optional<Line>> next_merged();
  Result<void> choose_previous_run();
  Result<void> skip_to_last();
  [[nodiscard]] bool wanted(const Line& line) const;

  Query query_;
  std::optional<std::uint64_t> only_start_;
  std::array<StreamReader, 2> streams_;
  std::array<std::optional<Line>, 2> heads_;
};

}  // namespace orlop::logs
