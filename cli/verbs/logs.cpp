// logs: what a container wrote, read from the files themselves, whose descriptors the supervisor hands out.
//
// A container's log goes on over its restarts, and so does following it: it ends when the container is at rest or gone.
// Nobody keeps a connection meanwhile, so that orlopd may die and come back without the follower noticing.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "cli/invocation.hpp"
#include "cli/output/container_view.hpp"
#include "cli/output/time_text.hpp"
#include "cli/verbs/log_follow.hpp"
#include "supervisor/logs/print.hpp"
#include "supervisor/logs/reader.hpp"

namespace orlop::cli {
namespace {

struct Options {
  std::string name;
  bool follow = false;
  bool timestamps = false;
  bool previous = false;
  std::optional<std::uint64_t> last;
  std::string since;
};

Result<logs::Source> ask_for_files(const Invocation& invocation, const std::string& name) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  Result<control::Files> files = client->log_files(name);
  if (!files) return pass(std::move(files));
  return logs::parse_description({std::move(files->json), std::move(files->files)});
}

bool lacks_files(const logs::Source& source) {
  return source.streams.at(0).empty() || source.streams.at(1).empty();
}

// Prints what is there now.
Result<void> print_lines(logs::Reader& reader, const Invocation& invocation, const Options& options) {
  for (;;) {
    const Result<std::optional<logs::Line>> line = reader.next();
    if (!line) return std::unexpected(line.error());
    if (!*line) break;
    fmt::print("{}", invocation.json ? logs::json_line(**line) : logs::text_line(**line, options.timestamps));
  }
  if (std::fflush(stdout) != 0) return fail_errno(errno, "write", "cannot print");
  return {};
}

enum class Outlook { writes, may_write, ended };

// Whether more is to be expected. While orlopd restarts nobody answers; its successor will.
Result<Outlook> ask_for_outlook(const Invocation& invocation, const std::string& name) {
  Result<control::Client> client = invocation.connect();
  if (!client) return client.error().kind == ErrorKind::not_found ? Outlook::ended : Outlook::may_write;
  const Result<std::string> answer = client->inspect(name);
  if (!answer) return answer.error().kind == ErrorKind::not_found ? Outlook::ended : Outlook::may_write;
  const Result<Json> json = parse_json(*answer);
  if (!json) return std::unexpected(json.error());
  const std::string state = text_at(*json, "state");
  if (is_at_rest(state)) return Outlook::ended;
  return state == "running" ? Outlook::writes : Outlook::may_write;
}

class Follower {
 public:
  Follower(const Invocation& invocation, const Options& options, LogWatch watch)
      : invocation_(invocation), options_(options), watch_(std::move(watch)) {}

  Result<int> follow(logs::Source source, const logs::Query& query) {
    if (Result<void> added = watch_.add(source); !added) return pass(std::move(added));
    lacks_files_ = lacks_files(source);
    Result<logs::Reader> reader = logs::Reader::open(std::move(source), query);
    if (!reader) return pass(std::move(reader));
    bool ended = false;
    for (;;) {
      if (Result<void> printed = print_all(*reader); !printed) return pass(std::move(printed));
      if (ended) return exit_code::done;
      const Result<bool> ends = wait();
      if (!ends) return std::unexpected(ends.error());
      ended = *ends;
    }
  }

 private:
  // What is there now, with the files that came since.
  Result<void> print_all(logs::Reader& reader) {
    for (;;) {
      if (Result<void> printed = print_lines(reader, invocation_, options_); !printed) return printed;
      if (!lacks_files_ && !reader.wants_more()) return {};
      Result<logs::Source> newer = ask_for_files(invocation_, options_.name);
      if (!newer) return {};  // asked again after the next wait, which also finds out that the container is gone
      if (Result<void> added = watch_.add(*newer); !added) return added;
      const bool nothing_new = lacks_files(*newer);
      lacks_files_ = nothing_new;
      reader.extend(std::move(*newer));
      if (nothing_new) return print_lines(reader, invocation_, options_);
    }
  }

  // Until the log grew or nothing more is to be expected (true). A second of silence after something came is the time
  // to ask; a running container that is silent is not asked about.
  Result<bool> wait() {
    for (;;) {
      const bool asks = outlook_ != Outlook::writes || lacks_files_;
      const Result<bool> grew = watch_.wait(asks ? std::optional(std::chrono::milliseconds(1000)) : std::nullopt);
      if (!grew) return std::unexpected(grew.error());
      if (*grew) {
        outlook_ = Outlook::may_write;
        return false;
      }
      const Result<Outlook> outlook = ask_for_outlook(invocation_, options_.name);
      if (!outlook) return std::unexpected(outlook.error());
      outlook_ = *outlook;
      if (outlook_ == Outlook::ended) return true;
      if (lacks_files_) return false;
    }
  }

  const Invocation& invocation_;
  const Options& options_;
  LogWatch watch_;
  bool lacks_files_ = false;
  Outlook outlook_ = Outlook::may_write;
};

Result<int> logs_of(const Invocation& invocation, const Options& options) {
  if (options.follow && options.previous)
    return fail(ErrorKind::config, "--follow and --previous exclude each other: a run that is over does not go on");
  logs::Query query{.last = options.last, .previous = options.previous, .follow = options.follow};
  if (!options.since.empty()) {
    const Result<WallTime> since = parse_since(options.since, wall_now());
    if (!since) return std::unexpected(since.error());
    query.since = *since;
  }
  Result<logs::Source> source = ask_for_files(invocation, options.name);
  if (!source) return pass(std::move(source));
  if (options.follow) {
    Result<LogWatch> watch = LogWatch::make();
    if (!watch) return pass(std::move(watch));
    return Follower(invocation, options, std::move(*watch)).follow(std::move(*source), query);
  }
  Result<logs::Reader> reader = logs::Reader::open(std::move(*source), query);
  if (!reader) return pass(std::move(reader));
  if (const Result<void> printed = print_lines(*reader, invocation, options); !printed)
    return std::unexpected(printed.error());
  return exit_code::done;
}

}  // namespace

void add_log_verbs(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("logs", "Show what a container wrote");
  verb->add_option("NAME", options->name, "The container")->required();
  verb->add_flag("-f,--follow", options->follow, "Go on until the container is stopped, failed or gone");
  verb->add_option("-n,--lines", options->last, "Only the last N lines")->type_name("N");
  verb->add_option("--since", options->since, "Only from then on: a time (RFC 3339), or how long ago, such as 10min")
      ->type_name("WHEN");
  verb->add_flag("--previous", options->previous, "Only the run before the latest one");
  verb->add_flag("-t,--timestamps", options->timestamps, "Put the time in front of each line");
  verb->add_flag("--json", invocation.json, "A JSON object a line: time, stream, log, start");
  verb->callback(
      [&invocation, options] { invocation.run = [&invocation, options] { return logs_of(invocation, *options); }; });
}

}  // namespace orlop::cli
