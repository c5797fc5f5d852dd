// shutdown and version: the supervisor and the program themselves.
#include <fmt/format.h>

#include "cli/invocation.hpp"
#include "cli/output/error_view.hpp"

namespace orlop::cli {
namespace {

Result<int> shutdown(const Invocation& invocation) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  if (Terminal::of(stderr).progress) fmt::print(stderr, "stopping all containers …\n");
  if (const Result<void> answer = client->shutdown(); !answer) return std::unexpected(answer.error());
  if (invocation.json) fmt::print("{}", printed({{"stopped", true}}));
  return exit_code::done;
}

Result<int> version(const Invocation& invocation) {
  if (invocation.json)
    fmt::print("{}", printed({{"version", ORLOP_VERSION}}));
  else
    fmt::print("orlop {}\n", ORLOP_VERSION);
  return exit_code::done;
}

}  // namespace

void add_supervisor_verbs(CLI::App& app, Invocation& invocation) {
  CLI::App* shutdown_verb = app.add_subcommand("shutdown", "Stop every container in reverse order, then orlop itself");
  add_json_flag(*shutdown_verb, invocation);
  shutdown_verb->callback([&invocation] { invocation.run = [&invocation] { return shutdown(invocation); }; });
  CLI::App* version_verb = app.add_subcommand("version", "Print the version of this program");
  add_json_flag(*version_verb, invocation);
  version_verb->callback([&invocation] { invocation.run = [&invocation] { return version(invocation); }; });
}

}  // namespace orlop::cli
