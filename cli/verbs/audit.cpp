// audit show and verify: the record of changes, read from the files themselves, whose descriptors the supervisor hands
// to root.
#include <fmt/format.h>

#include <memory>

#include "cli/invocation.hpp"
#include "cli/output/audit_view.hpp"
#include "cli/output/time_text.hpp"

namespace orlop::cli {
namespace {

struct Options {
  std::optional<std::uint64_t> last;
  std::string since;
  std::string head;
};

Result<audit::Source> ask_for_files(const Invocation& invocation) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  Result<control::Files> files = client->audit_files();
  if (!files) return pass(std::move(files));
  return audit::parse_description({std::move(files->json), std::move(files->files)});
}

Result<int> show(const Invocation& invocation, const Options& options) {
  audit::Filter filter{.last = options.last};
  if (!options.since.empty()) {
    const Result<WallTime> since = parse_since(options.since, wall_now());
    if (!since) return std::unexpected(since.error());
    filter.since = *since;
  }
  const Result<audit::Source> source = ask_for_files(invocation);
  if (!source) return std::unexpected(source.error());
  const Terminal terminal = Terminal::of(stdout);
  const Result<void> shown =
      audit::show(*source, filter, [&](const std::optional<audit::Entry>& entry, std::string_view line) {
        fmt::print("{}", invocation.json ? entry_json_line(entry, line) : entry_text(entry, line, terminal));
      });
  if (!shown) return std::unexpected(shown.error());
  return exit_code::done;
}

Result<int> verify(const Invocation& invocation, const Options& options) {
  std::optional<audit::Link> outside;
  if (!options.head.empty()) {
    const Result<audit::Link> link = parse_link(options.head);
    if (!link) return std::unexpected(link.error());
    outside = *link;
  }
  const Result<audit::Source> source = ask_for_files(invocation);
  if (!source) return std::unexpected(source.error());
  const Result<audit::Verified> verified = audit::verify(*source, outside);
  if (!verified) return std::unexpected(verified.error());
  if (invocation.json)
    fmt::print("{}", printed(verified_json(*verified)));
  else
    fmt::print("{}", verified_text(*verified, Terminal::of(stdout)));
  return audit::exit_code(*verified);
}

}  // namespace

void add_audit_verbs(CLI::App& app, Invocation& invocation) {
  CLI::App* family = app.add_subcommand("audit", "The record of all changes: show, verify")->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  CLI::App* show_verb = family->add_subcommand("show", "Show who changed what, and what was refused");
  show_verb->add_option("-n,--lines", options->last, "Only the last N records")->type_name("N");
  show_verb->add_option("--since", options->since, "Only from then on: a time (RFC 3339), or how long ago")
      ->type_name("WHEN");
  show_verb->add_flag("--json", invocation.json, "Print the records as they stand in the file, one a line");
  show_verb->callback(
      [&invocation, options] { invocation.run = [&invocation, options] { return show(invocation, *options); }; });
  CLI::App* verify_verb = family->add_subcommand("verify", "Check that the record is whole; exit code 1 if not");
  verify_verb->add_option("--head", options->head, "A head that an earlier verify printed: it must be in the chain")
      ->type_name("NUMBER:HASH");
  add_json_flag(*verify_verb, invocation);
  verify_verb->callback(
      [&invocation, options] { invocation.run = [&invocation, options] { return verify(invocation, *options); }; });
}

}  // namespace orlop::cli
