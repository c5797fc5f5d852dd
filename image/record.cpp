#include "image/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "image/json.hpp"
#include "image/path.hpp"
#include "image/reference.hpp"

namespace orlop::image {
namespace {

constexpr std::uint64_t version = 1;
constexpr std::uint64_t any = std::numeric_limits<std::int64_t>::max();

struct FindingName {
  Finding finding;
  std::string_view name;
};
constexpr std::array finding_names = {
    FindingName{Finding::device_dropped, "device_dropped"},
    FindingName{Finding::socket_dropped, "socket_dropped"},
    FindingName{Finding::xattr_dropped, "xattr_dropped"},
    FindingName{Finding::setuid_inert, "setuid_inert"},
    FindingName{Finding::capability_inert, "capability_inert"},
    FindingName{Finding::mount_point_replaced, "mount_point_replaced"},
    FindingName{Finding::mount_point_unusable, "mount_point_unusable"},
    FindingName{Finding::accounts_cut, "accounts_cut"},
};

Json print(const Healthcheck& check) {
  return {{"command", check.command},
          {"interval_ns", static_cast<std::uint64_t>(check.interval.count())},
          {"timeout_ns", static_cast<std::uint64_t>(check.timeout.count())},
          {"start_period_ns", static_cast<std::uint64_t>(check.start_period.count())},
          {"retries", check.retries}};
}

Sha256 digest(Fields& fields, const char* key) {
  const Result<Sha256> value = parse_hex(fields.text(key));
  if (value) return *value;
  fields.refuse(key, "is not a SHA-256 digest");
  return {};
}

std::uint32_t id(Fields& fields, const char* key) {
  return static_cast<std::uint32_t>(fields.number(key, id_limit - 1));
}

std::vector<std::string> paths(Fields& fields, const char* key) {
  std::vector<std::string> values = fields.texts(key);
  if (!std::ranges::all_of(values, is_normal_path)) fields.refuse(key, "holds a path that is not normal");
  return values;
}

// Reads each object of the array `key` by `read_one`; the first failure is the array's.
template <class T, class Read>
std::vector<T> list(Fields& fields, const char* key, std::size_t max, Read read_one) {
  std::vector<T> values;
  const Json* array = fields.array(key);
  if (array == nullptr) return values;
  if (array->size() > max) fields.refuse(key, "is too long");
  for (const Json& element : *array) {
    Fields inner(element, key, Fields::Absent::refused);
    values.push_back(read_one(inner));
    inner.refuse_others();
    if (const Result<void> good = inner.done(); !good) {
      fields.refuse(key, sentence(good.error()));
      break;
    }
  }
  return values;
}

Identity read_identity(Fields& fields) {
  return {.uid = id(fields, "uid"), .gid = id(fields, "gid"), .written = fields.text("written")};
}

Healthcheck read_healthcheck(Fields& fields) {
  return {.command = fields.texts("command"),
          .interval = Duration(fields.number("interval_ns", any)),
          .timeout = Duration(fields.number("timeout_ns", any)),
          .start_period = Duration(fields.number("start_period_ns", any)),
          .retries = static_cast<std::uint32_t>(fields.number("retries", 1'000'000))};
}

ReportItem read_report_item(Fields& fields) {
  ReportItem item;
  const std::string name = fields.text("finding");
  const auto found = std::ranges::find(finding_names, name, &FindingName::name);
  if (found == finding_names.end())
    fields.refuse("finding", "is not known");
  else
    item.finding = found->finding;
  item.count = fields.number("count", any);
  item.examples = fields.texts("examples");
  return item;
}

}  // namespace

std::string_view to_string(Finding finding) {
  return std::ranges::find(finding_names, finding, &FindingName::finding)->name;
}

std::string to_json(const Record& record) {
  Json json = {{"version", version},
               {"manifest", hex(record.manifest)},
               {"name", record.name},
               {"config_digest", hex(record.config_digest)},
               {"seal", hex(record.seal)},
               {"seal_bytes", record.seal_size.count},
               {"entrypoint", record.entrypoint},
               {"command", record.command},
               {"env", record.env},
               {"workdir", record.workdir},
               {"user_problem", record.user_problem},
               {"stop_signal", record.stop_signal},
               {"volumes", record.volumes},
               {"exposed_ports", record.exposed_ports},
               {"labels", record.labels},
               {"mount_points", record.mount_points}};
  // What the image may leave out is an array of none or one: every key is always there.
  Json& user = json["user"] = Json::array();
  if (record.user)
    user.push_back({{"uid", record.user->uid}, {"gid", record.user->gid}, {"written", record.user->written}});
  Json& healthcheck = json["healthcheck"] = Json::array();
  if (record.healthcheck) healthcheck.push_back(print(*record.healthcheck));
  Json& users = json["users"] = Json::array();
  for (const User& line : record.users) users.push_back({{"name", line.name}, {"uid", line.uid}, {"gid", line.gid}});
  Json& groups = json["groups"] = Json::array();
  for (const Group& line : record.groups) groups.push_back({{"name", line.name}, {"gid", line.gid}});
  Json& report = json["report"] = Json::array();
  for (const ReportItem& item : record.report)
    report.push_back({{"finding", to_string(item.finding)}, {"count", item.count}, {"examples", item.examples}});
  return print_json(json);
}

Result<Record> from_json(std::string_view text) {
  if (text.size() > max_record_bytes)
    return fail(ErrorKind::limit, fmt::format("an image record of over {} bytes", max_record_bytes));
  Result<Json> json = parse_json(text);
  if (!json) return fail(std::move(json), "cannot read an image record");

  Fields fields(*json, "image record", Fields::Absent::refused);
  if (fields.number("version", any) != version) fields.refuse("version", "is of another version of orlop");
  Record record;
  record.manifest = digest(fields, "manifest");
  record.name = fields.text("name");
  if (!is_valid_image_name(record.name)) fields.refuse("name", "is not a name of an image");
  record.config_digest = digest(fields, "config_digest");
  record.seal = digest(fields, "seal");
  record.seal_size = Bytes{fields.number("seal_bytes", any)};
  record.entrypoint = fields.texts("entrypoint");
  record.command = fields.texts("command");
  record.env = fields.texts("env");
  record.workdir = fields.text("workdir");
  if (!is_normal_path(record.workdir)) fields.refuse("workdir", "is not a normal path");
  for (Identity& user : list<Identity>(fields, "user", 1, read_identity)) record.user = std::move(user);
  record.user_problem = fields.text("user_problem");
  record.stop_signal = static_cast<int>(fields.number("stop_signal", 64));
  record.volumes = paths(fields, "volumes");
  record.exposed_ports = fields.texts("exposed_ports");
  if (const Json* labels = fields.object("labels"); labels != nullptr) {
    Fields inner(*labels, "labels", Fields::Absent::refused);
    for (const auto& [key, value] : labels->items()) record.labels.emplace(key, inner.text(key.c_str()));
    if (const Result<void> good = inner.done(); !good) fields.refuse("labels", sentence(good.error()));
  }
  for (Healthcheck& check : list<Healthcheck>(fields, "healthcheck", 1, read_healthcheck))
    record.healthcheck = std::move(check);
  record.users = list<User>(fields, "users", max_accounts, [](Fields& line) {
    return User{.name = line.text("name"), .uid = id(line, "uid"), .gid = id(line, "gid")};
  });
  record.groups = list<Group>(fields, "groups", max_accounts,
                              [](Fields& line) { return Group{.name = line.text("name"), .gid = id(line, "gid")}; });
  record.mount_points = paths(fields, "mount_points");
  record.report = list<ReportItem>(fields, "report", finding_names.size(), read_report_item);
  fields.refuse_others();
  if (Result<void> good = fields.done(); !good) return pass(std::move(good));
  return record;
}

}  // namespace orlop::image
