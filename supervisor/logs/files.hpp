// The files of a container's log, and how they are handed to a reader as descriptors.
//
// Below the container's folder each stream has `stdout.N.log` (raw bytes), `stdout.N.index` (index.hpp) for the
// generations N that are kept, and `stdout.dropped` (spool.hpp). N only grows; a generation exists when its .log does.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"

namespace orlop::logs {

enum class Stream : std::uint8_t { out, err };
inline constexpr std::array<Stream, 2> all_streams = {Stream::out, Stream::err};
/// `stdout` or `stderr`.
std::string_view to_string(Stream stream);
/// config/… for any other word.
Result<Stream> parse_stream(std::string_view word);

/// `stdout.7.log`.
std::string log_name(Stream stream, std::uint64_t generation);
/// `stdout.7.index`.
std::string index_name(Stream stream, std::uint64_t generation);
/// `stdout.dropped`.
std::string dropped_name(Stream stream);
/// The generations of `stream` among the file names `names`, ascending.
std::vector<std::uint64_t> generations(const std::vector<std::string>& names, Stream stream);

/// One generation of a stream, open for reading.
struct Generation {
  std::uint64_t number = 0;
  UniqueFd log;
  UniqueFd index;
};
/// All that is kept of one container's log: by stream (see all_streams), generations ascending.
struct Source {
  std::string container;
  std::array<std::vector<Generation>, 2> streams;
};

/// A Source on its way to another process: `meta` (JSON) says which of `fds` is what.
struct Description {
  std::string meta;
  std::vector<UniqueFd> fds;
};

/// Opens for reading what `folder` below `directory` holds. A folder that is not there is a log without bytes.
Result<Source> open_source(BorrowedFd directory, const std::string& folder);
/// Packs a source for sending; parse_description() is the inverse.
Description describe(Source source);
/// corrupt/… when `meta` is not of this form or does not fit the number of descriptors.
Result<Source> parse_description(Description description);

}  // namespace orlop::logs
