#include "supervisor/logs/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/file.hpp"
#include "base/sys.hpp"

namespace orlop::logs {
namespace {

constexpr std::string_view log_suffix = ".log";

// The N of `stdout.N.log`, written as log_name() writes it; nothing for another name.
std::optional<std::uint64_t> generation_of(std::string_view name, Stream stream) {
  const std::string prefix = fmt::format("{}.", to_string(stream));
  if (!name.starts_with(prefix) || !name.ends_with(log_suffix)) return std::nullopt;
  std::uint64_t number = 0;
  (void)std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);  // the comparison decides
  if (name != log_name(stream, number)) return std::nullopt;
  return number;
}

Result<std::optional<Generation>> open_generation(BorrowedFd folder, Stream stream, std::uint64_t number) {
  Generation generation{.number = number, .log = {}, .index = {}};
  for (const auto& [name, fd] : {std::pair{log_name(stream, number), &generation.log},
                                 std::pair{index_name(stream, number), &generation.index}}) {
    Result<UniqueFd> file = sys::open_beneath(folder, name, O_RDONLY | O_NOFOLLOW);
    if (!file && file.error().errno_value == ENOENT) return std::nullopt;  // rotated away meanwhile
    if (!file) return fail(std::move(file), "cannot read a log");
    *fd = std::move(*file);
  }
  return generation;
}

}  // namespace

std::string_view to_string(Stream stream) {
  return stream == Stream::out ? "stdout" : "stderr";
}

Result<Stream> parse_stream(std::string_view word) {
  for (const Stream stream : all_streams)
    if (word == to_string(stream)) return stream;
  return fail(ErrorKind::config, fmt::format("'{}' is not a stream", word), "write stdout or stderr");
}

std::string log_name(Stream stream, std::uint64_t generation) {
  return fmt::format("{}.{}{}", to_string(stream), generation, log_suffix);
}

std::string index_name(Stream stream, std::uint64_t generation) {
  return fmt::format("{}.{}.index", to_string(stream), generation);
}

std::string dropped_name(Stream stream) {
  return fmt::format("{}.dropped", to_string(stream));
}

std::vector<std::uint64_t> generations(const std::vector<std::string>& names, Stream stream) {
  std::vector<std::uint64_t> found;
  for (const std::string& name : names)
    if (const auto number = generation_of(name, stream)) found.push_back(*number);
  std::ranges::sort(found);
  return found;
}

Result<Source> open_source(BorrowedFd directory, const std::string& folder) {
  Source source{.container = folder, .streams = {}};
  Result<UniqueFd> opened = sys::open_beneath(directory, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened && opened.error().errno_value == ENOENT) return source;
  if (!opened) return fail(std::move(opened), "cannot read a log");
  const Result<std::vector<std::string>> names = list_directory(*opened);
  if (!names) return std::unexpected(names.error());
  for (const Stream stream : all_streams)
    for (const std::uint64_t number : generations(*names, stream)) {
      Result<std::optional<Generation>> generation = open_generation(*opened, stream, number);
      if (!generation) return pass(std::move(generation));
      if (*generation) source.streams.at(std::to_underlying(stream)).push_back(std::move(**generation));
    }
  return source;
}

Description describe(Source source) {
  Description description;
  nlohmann::json files = nlohmann::json::array();
  for (const Stream stream : all_streams)
    for (Generation& generation : source.streams.at(std::to_underlying(stream))) {
      const std::size_t first = description.fds.size();
      files.push_back(
          {{"stream", to_string(stream)}, {"generation", generation.number}, {"log", first}, {"index", first + 1}});
      description.fds.push_back(std::move(generation.log));
      description.fds.push_back(std::move(generation.index));
    }
  description.meta = nlohmann::json{{"version", 1}, {"container", source.container}, {"files", files}}.dump();
  return description;
}

Result<Source> parse_description(Description description) {
  const auto refuse = [] { return fail(ErrorKind::corrupt, "the description of a log is not one of this version"); };
  const nlohmann::json meta = nlohmann::json::parse(description.meta, nullptr, false);
  // The whole reading is one place that may throw: a member that is missing or of another type.
  try {
    Source source{.container = meta.at("container").get<std::string>(), .streams = {}};
    if (meta.at("version").get<int>() != 1) return refuse();
    const auto take = [&](const nlohmann::json& place) {
      UniqueFd& fd = description.fds.at(place.get<std::size_t>());
      if (!fd) throw std::out_of_range("a descriptor is named twice");
      return std::move(fd);
    };
    for (const nlohmann::json& file : meta.at("files")) {
      const Result<Stream> stream = parse_stream(file.at("stream").get<std::string>());
      if (!stream) return refuse();
      std::vector<Generation>& of_stream = source.streams.at(std::to_underlying(*stream));
      Generation generation{.number = file.at("generation").get<std::uint64_t>(), .log = {}, .index = {}};
      generation.log = take(file.at("log"));
      generation.index = take(file.at("index"));
      if (!of_stream.empty() && of_stream.back().number >= generation.number) return refuse();
      of_stream.push_back(std::move(generation));
    }
    return source;
  } catch (const std::exception&) {
    return refuse();
  }
}

}  // namespace orlop::logs
