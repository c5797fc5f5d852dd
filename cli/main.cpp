// orlop: the command-line client. Reads the command line, runs one verb, prints its error once.
//
// Ctrl-C ends the waiting, not what was asked for: the supervisor goes on with it. Nothing here needs putting away, so
// SIGINT and SIGPIPE keep their default actions.
#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "cli/invocation.hpp"
#include "cli/output/error_view.hpp"
#include "config/diagnostics.hpp"

namespace orlop::cli {
namespace {

// Arguments are named by what they are; that they are texts says nothing. A heading of verbs is the group's name.
void tidy_help(CLI::App& app) {
  for (CLI::Option* option : app.get_options([](const CLI::Option* one) { return one->get_positional(); }))
    option->type_name("");
  for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    verb->group("Verbs");
    tidy_help(*verb);
  }
}

void add_verbs(CLI::App& app, Invocation& invocation) {
  app.description("orlop runs the containers that a host file describes.");
  app.add_option("--root", invocation.root, "The directory of the instance (default: the host's own)")
      ->type_name("DIR");
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(24);
  for (const auto& [theirs, ours] :
       {std::pair("SUBCOMMAND", "VERB"), std::pair("SUBCOMMANDS", "VERBS"), std::pair("Subcommands", "Verbs"),
        std::pair("Positionals", "Arguments"), std::pair("REQUIRED", "")})
    app.get_formatter()->label(theirs, ours);
  add_host_file_verbs(app, invocation);
  add_status_verbs(app, invocation);
  add_log_verbs(app, invocation);
  add_container_verbs(app, invocation);
  add_image_verbs(app, invocation);
  add_volume_verbs(app, invocation);
  add_audit_verbs(app, invocation);
  add_doctor_verb(app, invocation);
  add_supervisor_verbs(app, invocation);
  tidy_help(app);
}

// The verb that the command line got to: `orlop`, `orlop image`, `orlop image import`.
const CLI::App& deepest(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return chosen.empty() ? app : deepest(*chosen.front());
}

std::string full_name(const CLI::App& verb) {
  const CLI::App* parent = verb.get_parent();
  return parent == nullptr ? "orlop" : full_name(*parent) + ' ' + verb.get_name();
}

// What may stand where `verb` found a word that it does not know.
std::vector<std::string> known_words(const CLI::App& verb, bool options) {
  std::vector<std::string> words;
  if (options) {
    for (const CLI::App* level = &verb; level != nullptr; level = level->get_parent())
      for (const CLI::Option* option : level->get_options())
        for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
    return words;
  }
  for (const CLI::App* sub : verb.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(sub->get_name());
    for (const std::string& alias : sub->get_aliases()) words.push_back(alias);
  }
  return words;
}

Error unknown_word(const CLI::App& verb, const std::string& word) {
  const bool option = word.starts_with('-');
  const std::vector<std::string> known = known_words(verb, option);
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::string_view near = config::nearest(word, views);
  const std::string see = fmt::format("see {} --help", full_name(verb));
  std::string fact = option          ? fmt::format("'{}' is no option of {}", word, full_name(verb))
                     : known.empty() ? fmt::format("'{}' is one argument too many for {}", word, full_name(verb))
                                     : fmt::format("'{}' is no verb of {}", word, full_name(verb));
  return fail(ErrorKind::config, std::move(fact),
              near.empty() ? see : fmt::format("did you mean '{}'? Else {}", near, see))
      .error();
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& verb = deepest(app);
  const std::vector<std::string> left = app.remaining(true);
  if (!left.empty()) return unknown_word(verb, left.front());
  if (!known_words(verb, false).empty())
    return fail(ErrorKind::config, fmt::format("{} needs a verb", full_name(verb)),
                fmt::format("see {} --help", full_name(verb)))
        .error();
  return fail(ErrorKind::config, error.what(), fmt::format("see {} --help", full_name(verb))).error();
}

// Nothing: go on. The parser speaks in exceptions; none leaves this function.
std::optional<int> parse(CLI::App& app, int argc, char** argv, Invocation& invocation) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return exit_code::done;
  } catch (const CLI::ParseError& error) {
    report(usage_error(app, error), false);
    return exit_code::usage;
  }
  while (invocation.root.size() > 1 && invocation.root.ends_with('/')) invocation.root.pop_back();
  return std::nullopt;
}

int run(int argc, char** argv) {
  CLI::App app("", "orlop");
  Invocation invocation;
  add_verbs(app, invocation);
  int code = exit_code::done;
  if (const std::optional<int> done = parse(app, argc, argv, invocation)) {
    code = *done;
  } else if (const Result<int> result = invocation.run(); result) {
    code = *result;
  } else {
    const Error error = with_remedy_apart(result.error());
    report(error, invocation.json);
    code = exit_code_of(error);
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  report(fail_errno(errno, "write", "cannot print to standard output").error(), false);
  return exit_code::failed;
}

}  // namespace
}  // namespace orlop::cli

int main(int argc, char** argv) {
  try {
    return orlop::cli::run(argc, argv);
  } catch (const std::exception& unexpected) {  // out of memory, or a library's mistake
    fmt::print(stderr, "orlop: {}\n", unexpected.what());
    return orlop::cli::exit_code::failed;
  }
}
