#include "supervisor/audit/record.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace orlop::audit {
namespace {

using Json = nlohmann::ordered_json;

Json actor_json(const std::optional<Client>& actor) {
  if (!actor) return "orlop";
  return {{"uid", actor->uid}, {"pid", actor->pid}, {"executable", actor->executable}};
}

std::string text_of(const Json& json) {
  // Text may hold any bytes (the name of a client's executable): what is not UTF-8 becomes U+FFFD.
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Json line_json(const Record& record, WallTime time, std::uint64_t seq, const Sha256& prev) {
  return {{"seq", seq},
          {"time", rfc3339(time)},
          {"actor", actor_json(record.actor)},
          {"what", record.what},
          {"object", record.object},
          {"why", record.why},
          {"before", record.before},
          {"after", record.after},
          {"result", to_string(record.verdict)},
          {"repeats", record.repeats},
          {"prev", hex(prev)}};
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  return verdict == Verdict::allowed ? "allowed" : "denied";
}

Result<NextLine> chain(const Record& record, WallTime time, const Link& previous) {
  const std::uint64_t seq = previous.seq + 1;
  std::string line = text_of(line_json(record, time, seq, previous.hash));
  if (line.size() >= max_line_bytes)
    return fail(ErrorKind::limit, fmt::format("an audit record of {} bytes is too long", line.size()));
  const Link link{.seq = seq, .hash = sha256(line)};
  line += '\n';
  return NextLine{.line = std::move(line), .link = link};
}

Result<Entry> parse_line(std::string_view line) {
  const auto refuse = [] { return fail(ErrorKind::corrupt, "not an audit record"); };
  if (line.size() >= max_line_bytes) return refuse();
  // The one place that may throw: a member that is missing or of another type.
  try {
    const Json json = Json::parse(line);
    Entry entry;
    Record& record = entry.record;
    if (const Json& actor = json.at("actor"); actor.is_object())
      record.actor = Client{.uid = actor.at("uid").get<uid_t>(),
                            .pid = actor.at("pid").get<pid_t>(),
                            .executable = actor.at("executable").get<std::string>()};
    record.what = json.at("what").get<std::string>();
    record.object = json.at("object").get<std::string>();
    record.why = json.at("why").get<std::string>();
    record.before = json.at("before").get<std::string>();
    record.after = json.at("after").get<std::string>();
    record.verdict = json.at("result") == to_string(Verdict::denied) ? Verdict::denied : Verdict::allowed;
    record.repeats = json.at("repeats").get<std::uint64_t>();
    entry.seq = json.at("seq").get<std::uint64_t>();
    const Result<WallTime> time = parse_rfc3339(json.at("time").get<std::string>());
    const Result<Sha256> prev = parse_hex(json.at("prev").get<std::string>());
    if (!time || !prev) return refuse();
    entry.time = *time;
    entry.prev = *prev;
    // Whatever is not exactly what chain() writes (order, spaces, members more, doubled, in another notation) differs.
    if (text_of(line_json(record, entry.time, entry.seq, entry.prev)) != line) return refuse();
    return entry;
  } catch (const std::exception&) {
    return refuse();
  }
}

}  // namespace orlop::audit
