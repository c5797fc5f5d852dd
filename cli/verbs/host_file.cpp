// apply and check: the host file, judged here first, so that all that is wrong with it shows without a supervisor.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "cli/invocation.hpp"
#include "cli/output/container_view.hpp"
#include "cli/output/error_view.hpp"
#include "config/parse.hpp"

namespace orlop::cli {
namespace {

struct HostFile {
  std::string name;
  UniqueFd fd;  ///< a regular file
  std::string text;
};

// `-` is standard input: kept in memory, since the supervisor reads a regular file.
Result<HostFile> open_host_file(const std::string& path) {
  HostFile file;
  file.name = path == "-" ? "standard input" : path;
  Result<UniqueFd> fd = path == "-" ? sys::duplicate(BorrowedFd(STDIN_FILENO)) : open_named_file("the host file", path);
  if (!fd) return pass(std::move(fd));
  Result<std::string> text = read_all(*fd, config::max_file_bytes);
  if (!text) return fail(std::move(text), fmt::format("cannot read the host file '{}'", file.name));
  file.text = std::move(*text);
  file.fd = std::move(*fd);
  if (path != "-") return file;
  Result<UniqueFd> copy = sys::memfd("host.toml");
  if (!copy) return pass(std::move(copy));
  if (Result<void> written = write_all(*copy, file.text); !written) return pass(std::move(written));
  file.fd = std::move(*copy);
  return file;
}

// Nothing: the file is good. Else what is wrong with it has been printed.
std::optional<int> judge(const HostFile& file, bool json) {
  const auto host = config::parse(file.text, file.name);
  if (host) return std::nullopt;
  const std::size_t count = host.error().size();
  const std::string summary =
      fmt::format("{} error{} in {}: nothing was changed", count, count == 1 ? "" : "s", file.name);
  if (json) {
    fmt::print("{}", printed(errors_json(host.error(), summary)));
    return exit_code::usage;
  }
  const Terminal terminal = Terminal::of(stderr);
  for (const Error& error : host.error()) fmt::print(stderr, "{}", error_text(error, terminal));
  fmt::print(stderr, "{}", error_text(fail(ErrorKind::config, summary).error(), terminal));
  return exit_code::usage;
}

Result<int> check(const Invocation& invocation, const std::string& path) {
  const Result<HostFile> file = open_host_file(path);
  if (!file) return std::unexpected(file.error());
  if (const std::optional<int> failed = judge(*file, invocation.json)) return *failed;
  if (invocation.json)
    fmt::print("{}", printed({{"file", file->name}, {"valid", true}}));
  else
    fmt::print("{} is valid\n", escape_line(file->name));
  return exit_code::done;
}

Result<int> apply(const Invocation& invocation, const std::string& path, bool dry_run) {
  const Result<HostFile> file = open_host_file(path);
  if (!file) return std::unexpected(file.error());
  if (const std::optional<int> failed = judge(*file, invocation.json)) return *failed;
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const Result<std::string> answer = client->apply(file->fd, file->name, dry_run);
  if (!answer) return std::unexpected(answer.error());
  const Result<Json> json = parse_json(*answer);
  if (!json) return std::unexpected(json.error());
  fmt::print("{}", invocation.json ? printed(*json) : plan_text(*json, Terminal::of(stdout)));
  if (dry_run && !invocation.json) fmt::print(stderr, "dry run: nothing was changed\n");
  return exit_code::done;
}

}  // namespace

void add_host_file_verbs(CLI::App& app, Invocation& invocation) {
  struct Options {
    std::string file;
    bool dry_run = false;
  };
  const auto options = std::make_shared<Options>();
  CLI::App* apply_verb = app.add_subcommand("apply", "Make the host match a host file, and keep it so");
  apply_verb->add_option("FILE", options->file, "The host file, or - for standard input")->required();
  apply_verb->add_flag("--dry-run", options->dry_run, "Only show what would be done");
  add_json_flag(*apply_verb, invocation);
  apply_verb->callback([&invocation, options] {
    invocation.run = [&invocation, options] { return apply(invocation, options->file, options->dry_run); };
  });

  CLI::App* check_verb = app.add_subcommand("check", "Say what is wrong with a host file; needs no supervisor");
  check_verb->add_option("FILE", options->file, "The host file, or - for standard input")->required();
  add_json_flag(*check_verb, invocation);
  check_verb->callback(
      [&invocation, options] { invocation.run = [&invocation, options] { return check(invocation, options->file); }; });
}

}  // namespace orlop::cli
