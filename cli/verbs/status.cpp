// status and inspect: what runs, as a table, a page or JSON.
#include <fmt/format.h>

#include <memory>

#include "cli/invocation.hpp"
#include "cli/output/container_view.hpp"
#include "cli/output/error_view.hpp"

namespace orlop::cli {
namespace {

Result<int> status_of_all(const Invocation& invocation, const Json& status) {
  if (invocation.json) {
    fmt::print("{}", printed(status));
    return exit_code::done;
  }
  const Terminal terminal = Terminal::of(stdout);
  fmt::print("{}{}", supervisor_text(status, terminal),
             containers_text(list_at(status, "containers"), terminal, wall_now()));
  return exit_code::done;
}

Result<int> status(const Invocation& invocation, const std::string& name) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const Result<std::string> answer = client->status();
  if (!answer) return std::unexpected(answer.error());
  const Result<Json> json = parse_json(*answer);
  if (!json) return std::unexpected(json.error());
  if (name.empty()) return status_of_all(invocation, *json);
  const Json* container = find_container(*json, name);
  if (container == nullptr) {
    report(fail(ErrorKind::not_found, fmt::format("there is no container '{}'", name)).error(), invocation.json);
    return exit_code::unknown;
  }
  if (invocation.json) {
    fmt::print("{}", printed(*container));
  } else {
    const Terminal terminal = Terminal::of(stdout);
    fmt::print("{}{}", supervisor_text(*json, terminal),
               containers_text(Json::array({*container}), terminal, wall_now()));
  }
  return is_well(*container) ? exit_code::done : exit_code::not_running;
}

struct InspectOptions {
  std::string name;
  bool plan = false;
  bool effective = false;
};

Result<int> inspect(const Invocation& invocation, const InspectOptions& options) {
  if (options.effective != options.name.empty())
    return fail(ErrorKind::config, "inspect needs the name of a container, or --effective", "see orlop inspect --help");
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const Result<std::string> answer = options.effective ? client->effective()
                                     : options.plan    ? client->plan(options.name)
                                                       : client->inspect(options.name);
  if (!answer) return std::unexpected(answer.error());
  if (options.effective || options.plan) {
    if (invocation.json)
      fmt::print("{}", printed({{options.plan ? "plan" : "effective", *answer}}));
    else
      fmt::print("{}", escape_lines(*answer));
    return exit_code::done;
  }
  const Result<Json> json = parse_json(*answer);
  if (!json) return std::unexpected(json.error());
  fmt::print("{}", invocation.json ? printed(*json) : inspect_text(*json, Terminal::of(stdout), wall_now()));
  return exit_code::done;
}

}  // namespace

void add_status_verbs(CLI::App& app, Invocation& invocation) {
  const auto name = std::make_shared<std::string>();
  CLI::App* status_verb = app.add_subcommand("status", "Show the containers and how they are")->alias("ps");
  status_verb->add_option("NAME", *name, "Only this one; exit code 3 if it does not run well, 4 if it is not there");
  add_json_flag(*status_verb, invocation);
  status_verb->callback(
      [&invocation, name] { invocation.run = [&invocation, name] { return status(invocation, *name); }; });

  const auto options = std::make_shared<InspectOptions>();
  CLI::App* inspect_verb = app.add_subcommand("inspect", "Show all about a container, or the applied host file");
  inspect_verb->add_option("NAME", options->name, "The container");
  CLI::Option* plan = inspect_verb->add_flag("--plan", options->plan, "The steps that its start took, one a line");
  inspect_verb->add_flag("--effective", options->effective, "The applied host file with every default written out")
      ->excludes(plan);
  add_json_flag(*inspect_verb, invocation);
  inspect_verb->callback(
      [&invocation, options] { invocation.run = [&invocation, options] { return inspect(invocation, *options); }; });
}

}  // namespace orlop::cli
