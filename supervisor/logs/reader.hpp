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
  /// Goes on with what a later source of the same stream holds beyond this one, and closes what is read to its end.
  void extend(std::vector<Generation> generations);
  /// The files say that the stream goes on in a generation that this reader does not have.
  [[nodiscard]] bool wants_more() const;
  /// Begins again at the first byte of what is open.
  void rewind();

 private:
  void enter_generation();
  void apply(const Record& record);
  Result<bool> advance();
  Result<void> read_until(std::uint64_t offset);
  std::optional<Line> take_line(bool at_end);

  Stream stream_;
  std::vector<Generation> generations_;
  std::size_t current_ = 0;
  bool entered_ = false;
  std::optional<IndexCursor> cursor_;  ///< nothing: the generation's index was lost
  std::optional<Record> ahead_;        ///< the next record, not yet reached by offset_
  std::uint64_t offset_ = 0;           ///< of the log: the next byte to read
  std::optional<std::uint64_t> goes_on_in_;

  WallTime time_{};  ///< what the records say of bytes read now
  std::uint64_t start_ = 0;
  bool running_ = false;
  std::string pending_;  ///< bytes read; those before begin_ are given
  std::size_t begin_ = 0;
  WallTime line_time_{};  ///< of the line that begins at begin_
  std::uint64_t line_start_ = 0;
  bool line_ended_ = false;  ///< the line that is pending ends here, newline or not
  std::optional<Line> gap_;
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
  Result<void> skip_to_last(std::uint64_t wanted_lines);
  [[nodiscard]] bool wanted(const Line& line) const;

  Query query_;
  std::optional<std::uint64_t> only_start_;
  std::array<StreamReader, 2> streams_;
  std::array<std::optional<Line>, 2> heads_;
};

}  // namespace orlop::logs
