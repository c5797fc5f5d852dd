#include "cli/invocation.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/sys.hpp"

namespace orlop::cli {

int exit_code_of(const Error& error) {
  return error.kind == ErrorKind::config ? exit_code::usage : exit_code::failed;
}

Result<UniqueFd> open_named_file(const std::string& what, const std::string& path) {
  // A pipe without a writer would block, and a terminal would become this process's own.
  Result<UniqueFd> file = sys::open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (file) return file;
  Error error = file.error();
  error.kind = ErrorKind::config;
  error.chain = {fmt::format("cannot open {} '{}'", what, path)};
  return std::unexpected(std::move(error));
}

Result<control::Client> Invocation::connect() const {
  return control::Client::connect(run_directory() + "/control.sock");
}

void add_json_flag(CLI::App& verb, Invocation& invocation) {
  verb.add_flag("--json", invocation.json, "Print JSON for programs");
}

}  // namespace orlop::cli
