// volume ls, inspect, rm.
#include <fmt/format.h>

#include <memory>

#include "cli/invocation.hpp"
#include "cli/output/container_view.hpp"

namespace orlop::cli {
namespace {

using View = std::function<std::string(const Json&)>;

Result<int> show(const Invocation& invocation, const Result<std::string>& answer, const View& view) {
  if (!answer) return std::unexpected(answer.error());
  const Result<Json> json = parse_json(*answer);
  if (!json) return std::unexpected(json.error());
  fmt::print("{}", invocation.json ? printed(*json) : view(*json));
  return exit_code::done;
}

Result<int> list(const Invocation& invocation) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  return show(invocation, client->list_volumes(),
              [](const Json& json) { return volumes_text(json, Terminal::of(stdout)); });
}

Result<int> inspect(const Invocation& invocation, const std::string& volume) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  return show(invocation, client->inspect_volume(volume), volume_text);
}

Result<int> remove(const Invocation& invocation, const std::string& volume) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  if (const Result<void> removed = client->remove_volume(volume); !removed) return std::unexpected(removed.error());
  return exit_code::done;
}

}  // namespace

void add_volume_verbs(CLI::App& app, Invocation& invocation) {
  CLI::App* family = app.add_subcommand("volume", "Volumes: ls, inspect, rm")->require_subcommand(1);
  CLI::App* list_verb = family->add_subcommand("ls", "List the volumes")->alias("list");
  add_json_flag(*list_verb, invocation);
  list_verb->callback([&invocation] { invocation.run = [&invocation] { return list(invocation); }; });

  const auto volume = std::make_shared<std::string>();
  CLI::App* inspect_verb = family->add_subcommand("inspect", "Show one volume");
  inspect_verb->add_option("VOLUME", *volume, "The volume")->required();
  add_json_flag(*inspect_verb, invocation);
  inspect_verb->callback(
      [&invocation, volume] { invocation.run = [&invocation, volume] { return inspect(invocation, *volume); }; });
  CLI::App* remove_verb = family->add_subcommand("rm", "Remove a volume that no container uses, with all it holds");
  remove_verb->add_option("VOLUME", *volume, "The volume")->required();
  add_json_flag(*remove_verb, invocation);
  remove_verb->callback(
      [&invocation, volume] { invocation.run = [&invocation, volume] { return remove(invocation, *volume); }; });
}

}  // namespace orlop::cli
