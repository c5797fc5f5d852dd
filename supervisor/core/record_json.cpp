#include "supervisor/core/record_json.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/name.hpp"

namespace orlop::core {

namespace {

using Json = nlohmann::json;

template <class Enum, std::size_t n>
struct Names {
  std::array<std::string_view, n> names;
  constexpr std::string_view operator[](Enum value) const { return names[static_cast<std::size_t>(value)]; }
};
constexpr Names<Policy, 4> policies{{"no", "on-failure", "always", "unless-stopped"}};
constexpr Names<Unhealthy, 3> unhealthy_actions{{"restart", "stop", "report"}};
constexpr Names<Run, 3> runs{{"always", "once", "on-boot"}};
constexpr Names<Wish, 2> wishes{{"run", "stop"}};

// --- writing ---

template <class T, class F>
Json or_null(const std::optional<T>& value, F write) {
  return value ? write(*value) : Json(nullptr);
}

Json write_moment(BootTime moment) {
  return moment.time_since_epoch().count();
}

Json write(const HealthCheck& check) {
  return {{"interval_ns", check.interval.count()},
          {"timeout_ns", check.timeout.count()},
          {"retries", check.retries},
          {"start_period_ns", check.start_period.count()},
          {"then", unhealthy_actions[check.then]}};
}

Json write(const Wanted& wanted) {
  return {{"digest", hex(wanted.digest)},
          {"after", wanted.after},
          {"requires", wanted.requirements},
          {"restart",
           {{"policy", policies[wanted.restart.policy]},
            {"backoff_min_ns", wanted.restart.backoff_min.count()},
            {"backoff_max_ns", wanted.restart.backoff_max.count()},
            {"limit", wanted.restart.limit},
            {"window_ns", wanted.restart.window.count()}}},
          {"stop", {{"signal", wanted.stop.signal}, {"grace_ns", wanted.stop.grace.count()}}},
          {"health", or_null(wanted.health, [](const HealthCheck& check) { return write(check); })},
          {"run", runs[wanted.run]}};
}

Json write_recent(const std::vector<BootTime>& moments) {
  Json list = Json::array();
  for (const BootTime moment : moments) list.push_back(write_moment(moment));
  return list;
}

// --- reading ---

/// Reads one object member by member. The first thing that is not as it should be is kept; what is read after it means
/// nothing.
class Reader {
 public:
  Reader(const Json& object, std::string path, std::string& fault)
      : object_(object), path_(std::move(path)), fault_(fault) {
    if (!object_.is_object()) fail("", "is not an object");
  }

  /// The member, for a reader of its own; null if it is not there.
  const Json& member(const char* key) {
    static const Json null;
    if (!object_.is_object()) return null;
    const auto found = object_.find(key);
    if (found == object_.end()) {
      fail(key, "is missing");
      return null;
    }
    return *found;
  }
  template <class Int>
  void number(const char* key, Int& into, Int least = 0, Int most = std::numeric_limits<Int>::max()) {
    number(member(key), key, into, least, most);
  }
  void flag(const char* key, bool& into) {
    const Json& value = member(key);
    if (!value.is_boolean()) return fail(key, "is not a boolean");
    into = value.get<bool>();
  }
  void string(const char* key, std::string& into) {
    const Json& value = member(key);
    if (!value.is_string()) return fail(key, "is not a string");
    into = value.get<std::string>();
  }
  template <class Enum, std::size_t n>
  void word(const char* key, Enum& into, const Names<Enum, n>& names) {
    std::string name;
    string(key, name);
    for (std::size_t i = 0; i < n; ++i)
      if (names.names[i] == name) {
        into = static_cast<Enum>(i);
        return;
      }
    fail(key, "is not a word known here");
  }
  template <class Enum>
  void word(const char* key, Enum& into, std::optional<Enum> (*from)(std::string_view)) {
    std::string name;
    string(key, name);
    if (const std::optional<Enum> value = from(name))
      into = *value;
    else
      fail(key, "is not a word known here");
  }
  void names(const char* key, std::vector<std::string>& into) {
    const Json& list = member(key);
    if (!list.is_array()) return fail(key, "is not a list");
    for (const Json& one : list) {
      if (!one.is_string() || !is_valid_name(one.get_ref<const std::string&>())) return fail(key, "holds no name");
      into.push_back(one.get<std::string>());
    }
  }
  void duration(const char* key, Duration& into) {
    Duration::rep count = 0;
    number(key, count);
    into = Duration(count);
  }
  void moment(const char* key, BootTime& into) { moment(member(key), key, into); }
  void moment(const char* key, std::optional<BootTime>& into) {
    const Json& value = member(key);
    if (!value.is_null()) moment(value, key, into.emplace());
  }
  void moments(const char* key, std::vector<BootTime>& into) {
    const Json& list = member(key);
    if (!list.is_array()) return fail(key, "is not a list");
    for (const Json& one : list) moment(one, key, into.emplace_back());
  }
  void fail(const char* key, std::string_view what) {
    if (fault_.empty()) fault_ = fmt::format("'{}{}' {}", path_, key, what);
  }

 private:
  template <class Int>
  void number(const Json& value, const char* key, Int& into, Int least, Int most) {
    // A non-negative literal is unsigned to the parser, so that a number beyond its type is never wrapped.
    if (value.is_number_unsigned()) {
      const std::uint64_t count = value.get<std::uint64_t>();
      if (count <= static_cast<std::uint64_t>(most) && (least <= 0 || count >= static_cast<std::uint64_t>(least))) {
        into = static_cast<Int>(count);
        return;
      }
    }
    fail(key, "is not a number of its range");
  }
  void moment(const Json& value, const char* key, BootTime& into) {
    Duration::rep count = 0;
    number<Duration::rep>(value, key, count, 0, std::numeric_limits<Duration::rep>::max());
    into = BootTime(Duration(count));
  }

  const Json& object_;
  std::string path_;
  std::string& fault_;
};

HealthCheck read_health(const Json& json, std::string& fault) {
  HealthCheck check;
  Reader in(json, "launched.health.", fault);
  in.duration("interval_ns", check.interval);
  in.duration("timeout_ns", check.timeout);
  in.number<std::uint32_t>("retries", check.retries, 1);
  in.duration("start_period_ns", check.start_period);
  in.word("then", check.then, unhealthy_actions);
  return check;
}

Wanted read_wanted(const Json& json, std::string& fault) {
  Wanted wanted;
  Reader in(json, "launched.", fault);
  std::string digest;
  in.string("digest", digest);
  if (const Result<Sha256> read = parse_hex(digest))
    wanted.digest = *read;
  else
    in.fail("digest", "is not 64 hexadecimal digits");
  in.names("after", wanted.after);
  in.names("requires", wanted.requirements);
  Reader restart(in.member("restart"), "launched.restart.", fault);
  restart.word("policy", wanted.restart.policy, policies);
  restart.duration("backoff_min_ns", wanted.restart.backoff_min);
  restart.duration("backoff_max_ns", wanted.restart.backoff_max);
  restart.number("limit", wanted.restart.limit);
  restart.duration("window_ns", wanted.restart.window);
  Reader stop(in.member("stop"), "launched.stop.", fault);
  stop.number("signal", wanted.stop.signal, 1, 64);
  stop.duration("grace_ns", wanted.stop.grace);
  if (const Json& health = in.member("health"); !health.is_null()) wanted.health = read_health(health, fault);
  in.word("run", wanted.run, runs);
  return wanted;
}

ExitStatus read_exit(const Json& json, std::string& fault) {
  ExitStatus exit;
  Reader in(json, "exit.", fault);
  in.number("code", exit.code, 0, 255);
  in.number("signal", exit.signal, 0, 64);
  return exit;
}

Reason read_reason(const Json& json, std::string& fault) {
  Reason reason;
  Reader in(json, "reason.", fault);
  in.word("why", reason.why, why_from);
  in.string("detail", reason.detail);
  return reason;
}

}  // namespace

std::string record_json(const std::string& name, const Record& record) {
  const Json json = {
      {"version", record_version},
      {"name", name},
      {"era", record.era},
      {"wish", wishes[record.wish]},
      {"phase", to_string(record.phase)},
      {"since_ns", write_moment(record.since)},
      {"start", record.start},
      {"launched", write(record.launched)},
      {"began_ns", or_null(record.began, write_moment)},
      {"cause", to_string(record.cause)},
      {"reason", {{"why", to_string(record.reason.why)}, {"detail", record.reason.detail}}},
      {"exit",
       or_null(record.exit, [](const ExitStatus& exit) { return Json{{"code", exit.code}, {"signal", exit.signal}}; })},
      {"done", record.done},
      {"again", record.again},
      {"restarts", record.restarts},
      {"failures", record.failures},
      {"recent_ns", write_recent(record.recent)},
      {"wake_at_ns", or_null(record.wake_at, write_moment)}};
  // What a program or the kernel said may be in `detail`, so bytes that are not UTF-8 are replaced, not thrown at.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<NamedRecord> read_record(std::string_view bytes) {
  if (bytes.size() > max_record_bytes)
    return fail(ErrorKind::corrupt, "a container's record is larger than any that is written");
  // The nesting that is written is 3 deep; the parser's own stack is on the heap, so depth alone is harmless.
  const Json json = Json::parse(bytes, nullptr, false);
  if (json.is_discarded()) return fail(ErrorKind::corrupt, "a container's record is not JSON: it is torn or foreign");
  if (!json.is_object() || !json.contains("version") || !json["version"].is_number_unsigned())
    return fail(ErrorKind::corrupt, "a container's record has no version: it is foreign");
  if (const auto version = json["version"].get<std::uint64_t>(); version != record_version)
    return fail(
        ErrorKind::unsupported,
        fmt::format("a container's record is of version {}, and this orlop reads version {}", version, record_version),
        "run the orlop that wrote it, or move the file away");

  NamedRecord named;
  Record& record = named.record;
  std::string fault;
  Reader in(json, "", fault);
  in.string("name", named.name);
  if (!is_valid_name(named.name)) in.fail("name", "is not a container's name");
  in.string("era", record.era);
  in.word("wish", record.wish, wishes);
  in.word("phase", record.phase, phase_from);
  in.moment("since_ns", record.since);
  in.number("start", record.start);
  record.launched = read_wanted(in.member("launched"), fault);
  in.moment("began_ns", record.began);
  in.word("cause", record.cause, why_from);
  record.reason = read_reason(in.member("reason"), fault);
  if (const Json& exit = in.member("exit"); !exit.is_null()) record.exit = read_exit(exit, fault);
  in.flag("done", record.done);
  in.flag("again", record.again);
  in.number("restarts", record.restarts);
  in.number("failures", record.failures);
  in.moments("recent_ns", record.recent);
  in.moment("wake_at_ns", record.wake_at);
  if (!fault.empty()) return fail(ErrorKind::corrupt, "a container's record is damaged: " + fault);
  // Whatever else is odd (members unknown here, members twice, another spelling of a number) is not of our writing.
  if (record_json(named.name, record) != bytes)
    return fail(ErrorKind::corrupt, "a container's record is not in the form that orlop writes: it is foreign");
  return named;
}

}  // namespace orlop::core
