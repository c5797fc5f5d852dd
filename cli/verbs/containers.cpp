// start, stop, restart, kill, wait: what is done to containers by name.
#include <fmt/format.h>

#include <memory>

#include "cli/invocation.hpp"
#include "cli/output/error_view.hpp"

namespace orlop::cli {
namespace {

using Act = std::function<Result<void>(control::Client& client, const std::string& name)>;

// One after the other. One that fails does not keep the others from their turn.
Result<int> each(const Invocation& invocation, const std::vector<std::string>& names, const char* doing,
                 const Act& act) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const bool progress = Terminal::of(stderr).progress && !invocation.json;
  Json done = Json::array();
  Json errors = Json::array();
  int code = exit_code::done;
  for (const std::string& name : names) {
    if (progress) fmt::print(stderr, "{} {} …\n", doing, escape_line(name));
    const Result<void> result = act(*client, name);
    if (!result) {
      const Error error = with_remedy_apart(result.error());
      code = std::max(code, exit_code_of(error));
      if (!invocation.json) report(error, false);
      errors.push_back({{"name", name}, {"error", error_json(error)}});
      continue;
    }
    done.push_back(name);
    if (!invocation.json) fmt::print("{}\n", name);
    (void)std::fflush(stdout);  // main looks at the stream's state at the end
  }
  if (invocation.json) fmt::print("{}", printed({{"done", done}, {"failed", errors}}));
  return code;
}

Result<int> wait(const Invocation& invocation, const std::string& name) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const Result<control::Exit> exit = client->wait(name);
  if (!exit) return std::unexpected(exit.error());
  if (invocation.json)
    fmt::print("{}", printed({{"name", name}, {"exit_code", exit->exit_code}, {"reason", exit->reason}}));
  else
    fmt::print("{}\n", exit->exit_code);
  return exit_code::done;
}

}  // namespace

void add_container_verbs(CLI::App& app, Invocation& invocation) {
  struct Options {
    std::vector<std::string> names;
    std::string signal = "SIGKILL";
  };
  const auto options = std::make_shared<Options>();
  const auto add = [&app, &invocation, options](const char* verb, const char* help, const char* doing, Act act) {
    CLI::App* added = app.add_subcommand(verb, help);
    added->add_option("NAME", options->names, "The containers")->required();
    add_json_flag(*added, invocation);
    added->callback([&invocation, options, doing, act = std::move(act)] {
      invocation.run = [&invocation, options, doing, act] { return each(invocation, options->names, doing, act); };
    });
    return added;
  };
  add("start", "Start containers, and return when they run", "starting",
      [](control::Client& client, const std::string& name) { return client.start(name); });
  add("stop", "Stop containers: their stop signal, their grace, then kill", "stopping",
      [](control::Client& client, const std::string& name) { return client.stop(name); });
  add("restart", "Stop containers and start them afresh from their sealed image", "restarting",
      [](control::Client& client, const std::string& name) { return client.restart(name); });
  add("kill", "Send a signal to the first process of containers", "signalling",
      [options](control::Client& client, const std::string& name) { return client.kill(name, options->signal); })
      ->add_option("-s,--signal", options->signal, "Its name or number (default: SIGKILL)")
      ->type_name("SIGNAL");

  const auto name = std::make_shared<std::string>();
  CLI::App* wait_verb = app.add_subcommand("wait", "Wait for a container's next exit, and print its exit code");
  wait_verb->add_option("NAME", *name, "The container")->required();
  add_json_flag(*wait_verb, invocation);
  wait_verb->callback(
      [&invocation, name] { invocation.run = [&invocation, name] { return wait(invocation, *name); }; });
}

}  // namespace orlop::cli
