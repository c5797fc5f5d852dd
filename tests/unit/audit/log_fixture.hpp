// An audit log in directories of the test's own.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "supervisor/audit/log_files.hpp"
#include "supervisor/audit/reader.hpp"
#include "tests/temporary_directory.hpp"

namespace orlop::audit {

inline Record change(std::string object, std::optional<Client> actor = Client{0, 77, "/usr/bin/orlop"}) {
  return {.actor = std::move(actor),
          .what = "container.start",
          .object = std::move(object),
          .why = "client",
          .before = "exited",
          .after = "starting"};
}
inline Record refusal(uid_t uid, std::string object) {
  return {.actor = Client{uid, 78, "/usr/bin/busctl"},
          .what = "container.stop",
          .object = std::move(object),
          .why = "no role",
          .verdict = Verdict::denied};
}

struct LogFixture {
  TemporaryDirectory directory;
  TemporaryDirectory state;

  LogFiles open(Limits limits = {}) { return LogFiles::open(directory.fd(), state.fd(), limits).value(); }
  Result<void> append(LogFiles& files, std::vector<Record> records) {
    std::vector<TimedRecord> timed;
    for (Record& record : records) timed.push_back({.record = std::move(record), .time = wall_now()});
    return files.append(timed);
  }
  /// Appends `count` changes, one group each.
  void fill(LogFiles& files, int count) {
    for (int i = 0; i < count; ++i) append(files, {change(fmt::format("container/c{}", i))}).value();
  }
  Verified verify(const std::optional<Link>& outside = std::nullopt) {
    return audit::verify(open_source(directory.fd(), state.fd()).value(), outside).value();
  }
  std::vector<Entry> entries(Filter filter = {}) {
    std::vector<Entry> all;
    show(open_source(directory.fd(), state.fd()).value(), filter,
         [&](const std::optional<Entry>& entry, std::string_view) {
           if (entry) all.push_back(*entry);
         })
        .value();
    return all;
  }
  std::string content(std::uint64_t file = 1) { return read_file(directory.fd(), file_name(file), 1 << 24).value(); }
  void set_content(const std::string& bytes, std::uint64_t file = 1) {
    replace_file(directory.fd(), file_name(file), bytes, Durability::until_reboot).value();
  }
  std::vector<std::string> lines(std::uint64_t file = 1) {
    std::vector<std::string> all;
    const std::string bytes = content(file);
    for (std::size_t begin = 0; begin < bytes.size();) {
      const std::size_t end = bytes.find('\n', begin);
      all.push_back(bytes.substr(begin, end - begin + 1));
      begin = end + 1;
    }
    return all;
  }
  void set_lines(const std::vector<std::string>& all, std::uint64_t file = 1) {
    std::string bytes;
    for (const std::string& line : all) bytes += line;
    set_content(bytes, file);
  }
};

}  // namespace orlop::audit
