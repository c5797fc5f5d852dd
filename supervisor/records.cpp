#include "supervisor/records.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/file.hpp"
#include "config/document.hpp"
#include "supervisor/core/record_json.hpp"

namespace orlop::supervisor {
namespace {

constexpr std::string_view suffix = ".json";
constexpr std::size_t max_name_bytes = 4096;

std::string file_of(const std::string& name) {
  return name + std::string(suffix);
}

// Temporary files of replace_file() begin with a dot: what a crash left of them is not a record.
Result<void> read_records(BorrowedFd directory, std::map<std::string, core::Record>& records) {
  Result<std::vector<std::string>> names = list_directory(directory);
  if (!names) return pass(std::move(names));
  for (const std::string& file : *names) {
    if (file.starts_with('.')) continue;
    Result<std::string> bytes = read_file(directory, file, core::max_record_bytes);
    if (!bytes) return fail(std::move(bytes), fmt::format("cannot read the record '{}'", file));
    Result<core::NamedRecord> read = core::read_record(*bytes);
    if (!read) return fail(std::move(read), fmt::format("the record '{}' is not usable", file));
    if (file_of(read->name) != file)
      return fail(ErrorKind::corrupt, fmt::format("the record '{}' is of '{}'", file, read->name));
    records.insert_or_assign(read->name, std::move(read->record));
  }
  return {};
}

// An empty text for a file that is not there.
Result<std::string> read_if_there(BorrowedFd directory, const char* name, std::size_t max_bytes) {
  Result<std::string> bytes = read_file(directory, name, max_bytes);
  if (!bytes && bytes.error().errno_value == ENOENT) return std::string();
  return bytes;
}

Result<void> remove_file(BorrowedFd directory, const std::string& name) {
  if (::unlinkat(directory.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno(errno, "unlinkat", fmt::format("cannot remove '{}'", name));
  return {};
}

}  // namespace

Result<Saved> read_saved(const Directories& directories) {
  Saved saved;
  if (Result<void> read = read_records(directories.state_records, saved.records); !read) return pass(std::move(read));
  if (Result<void> read = read_records(directories.run_records, saved.records); !read) return pass(std::move(read));
  Result<std::string> host = read_if_there(directories.state, "host.toml", config::max_file_bytes);
  if (!host) return fail(std::move(host), "cannot read the applied host file");
  saved.host_file = std::move(*host);
  Result<std::string> name = read_if_there(directories.state, "host.toml.name", max_name_bytes);
  if (!name) return fail(std::move(name), "cannot read the applied host file's name");
  saved.host_file_name = std::move(*name);
  Result<std::string> starts = read_if_there(directories.state, "starts", 64);
  if (!starts) return fail(std::move(starts), "cannot read the reserved start numbers");
  if (!starts->empty()) {
    const char* end = starts->data() + starts->size();
    const auto [stopped, error] = std::from_chars(starts->data(), end, saved.reserved);
    if (error != std::errc{} || stopped + 1 != end || *stopped != '\n')
      return fail(ErrorKind::corrupt, "the file 'starts' does not hold a number",
                  "move it away only if no container of this instance runs");
  }
  return saved;
}

Result<void> save_record(const Directories& directories, const std::string& name, const std::string& json) {
  return replace_file(directories.run_records, file_of(name), json, Durability::until_reboot);
}

Result<void> save_record_durably(const Directories& directories, const std::string& name, const std::string& json) {
  return replace_file(directories.state_records, file_of(name), json, Durability::power_loss);
}

Result<void> forget_record(const Directories& directories, const std::string& name) {
  return remove_file(directories.run_records, file_of(name));
}

Result<void> forget_lasting_record(const Directories& directories, const std::string& name) {
  return remove_file(directories.state_records, file_of(name));
}

Result<void> save_host_file(const Directories& directories, const std::string& file_name, const std::string& text) {
  // The name first: a crash between the two shows a wrong name, never a wrong file.
  if (Result<void> saved = replace_file(directories.state, "host.toml.name", file_name, Durability::power_loss); !saved)
    return saved;
  return replace_file(directories.state, "host.toml", text, Durability::power_loss);
}

Result<void> save_reserved(const Directories& directories, core::Start up_to) {
  return replace_file(directories.state, "starts", fmt::format("{}\n", up_to), Durability::power_loss);
}

}  // namespace orlop::supervisor
