#include "cli/output/container_view.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/size.hpp"
#include "cli/output/table.hpp"
#include "cli/output/time_text.hpp"

namespace orlop::cli {
namespace {

// NAME@sha256:DIGEST with the digest cut to 12 digits: enough to tell images apart by eye.
std::string short_image(const std::string& image) {
  constexpr std::string_view mark = "@sha256:";
  const std::size_t at = image.rfind(mark);
  return at == std::string::npos ? image : image.substr(0, at + mark.size() + 12);
}

Colour colour_of_state(const std::string& state) {
  if (state == "running") return Colour::green;
  if (state == "failed") return Colour::red;
  if (state == "stopped") return Colour::none;
  return Colour::yellow;
}

Colour colour_of_health(const std::string& health) {
  if (health == "healthy") return Colour::green;
  if (health == "unhealthy") return Colour::red;
  return health == "starting" ? Colour::yellow : Colour::faint;
}

std::string or_dash(std::string text) {
  return text.empty() ? "-" : std::move(text);
}

std::string number_or_dash(std::optional<std::int64_t> number) {
  return number && *number != 0 ? fmt::to_string(*number) : "-";
}

std::string exit_text(const Json& container) {
  const std::optional<std::int64_t> code = number_at(container, "exit_code");  // null until it has ended once
  return code ? fmt::to_string(*code) : "-";
}

std::string bytes_text(std::optional<std::int64_t> bytes) {
  if (!bytes || *bytes < 0) return "-";
  const auto count = static_cast<double>(*bytes);
  if (count >= 1024.0 * 1024 * 1024) return fmt::format("{:.1f}GiB", count / (1024.0 * 1024 * 1024));
  if (count >= 1024.0 * 1024) return fmt::format("{:.1f}MiB", count / (1024.0 * 1024));
  return format_bytes({static_cast<std::uint64_t>(*bytes)});
}

const Json& object_at(const Json& object, const char* key) {
  static const Json none = Json::object();
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : none;
}

// `key: value` lines, the values aligned; what has no value is left out.
class Page {
 public:
  explicit Page(const Terminal& terminal) : terminal_(terminal) {}
  void line(std::string_view key, const std::string& value, Colour colour = Colour::none) {
    if (!value.empty())
      text_ += fmt::format("{:<12}{}\n", fmt::format("{}:", key), terminal_.paint(escape_line(value), colour));
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  Terminal terminal_;
  std::string text_;
};

std::string joined(const Json& list) {
  std::string text;
  for (const Json& one : list)
    if (one.is_string()) text += (text.empty() ? "" : ", ") + one.get<std::string>();
  return text;
}

std::string started_text(const Json& container, WallTime now) {
  const std::string started = text_at(container, "started");
  return started.empty() ? "never" : fmt::format("{} ({} ago)", started, age(std::string_view(started), now));
}

}  // namespace

const Json* find_container(const Json& status, const std::string& name) {
  for (const Json& container : list_at(status, "containers"))
    if (text_at(container, "name") == name) return &container;
  return nullptr;
}

bool is_well(const Json& container) {
  return text_at(container, "state") == "running" && text_at(container, "health") != "unhealthy";
}

bool is_at_rest(const std::string& state) {
  return state == "stopped" || state == "failed";
}

std::string containers_text(const Json& containers, const Terminal& terminal, WallTime now) {
  const std::vector<Column> columns = {{.heading = "NAME"},
                                       {.heading = "STATE"},
                                       {.heading = "HEALTH", .leaves = 1},
                                       {.heading = "PID", .right = true, .leaves = 5},
                                       {.heading = "RESTARTS", .right = true, .leaves = 4},
                                       {.heading = "STARTED", .right = true, .leaves = 2},
                                       {.heading = "EXIT", .right = true, .leaves = 3},
                                       {.heading = "REASON", .shrinks_to = 12},
                                       {.heading = "IMAGE", .shrinks_to = 12, .leaves = 6}};
  std::vector<std::vector<Cell>> rows;
  for (const Json& container : containers) {
    const std::string state = text_at(container, "state");
    const std::string health = text_at(container, "health");
    rows.push_back({{text_at(container, "name")},
                    {state, colour_of_state(state)},
                    {health == "none" ? "-" : or_dash(health), colour_of_health(health)},
                    {number_or_dash(number_at(container, "pid"))},
                    {fmt::to_string(number_at(container, "restarts").value_or(0))},
                    {age(std::string_view(text_at(container, "started")), now)},
                    {exit_text(container)},
                    {or_dash(text_at(container, "reason"))},
                    {or_dash(short_image(text_at(container, "image")))}});
  }
  return table_text(columns, rows, terminal);
}

std::string supervisor_text(const Json& status, const Terminal& terminal) {
  const std::string state = text_at(status, "state");
  if (state.empty() || state == "running") return {};
  const std::string damage = text_at(status, "damage");
  const std::string line = "supervisor: " + state + (damage.empty() ? "" : ": " + damage);
  return terminal.paint(escape_line(line), state == "damaged" ? Colour::red : Colour::yellow) + '\n';
}

std::string inspect_text(const Json& container, const Terminal& terminal, WallTime now) {
  Page page(terminal);
  const std::string state = text_at(container, "state");
  const std::string health = text_at(container, "health");
  page.line("name", text_at(container, "name"));
  page.line("state", state, colour_of_state(state));
  page.line("reason", text_at(container, "reason"));
  page.line("trouble", text_at(container, "trouble"), Colour::red);
  page.line("waits for", text_at(container, "waits_for"));
  page.line("health", health, colour_of_health(health));
  page.line("said", text_at(container, "health_output"));
  page.line("pid", number_or_dash(number_at(container, "pid")));
  page.line("started", started_text(container, now));
  page.line("restarts", fmt::to_string(number_at(container, "restarts").value_or(0)));
  if (const auto code = number_at(container, "exit_code")) page.line("exit code", fmt::to_string(*code));
  page.line("image", text_at(container, "image"));
  const Json& limits = object_at(container, "limits");
  const Json& memory = object_at(limits, "memory");
  const Json& usage = object_at(container, "usage");
  if (!usage.empty())
    page.line("memory", fmt::format("{} of {}, peak {}", bytes_text(number_at(usage, "memory_bytes")),
                                    bytes_text(number_at(memory, "max_bytes")),
                                    bytes_text(number_at(usage, "memory_peak_bytes"))));
  else if (!memory.empty())
    page.line("memory", "at most " + bytes_text(number_at(memory, "max_bytes")));
  if (const auto max = number_at(object_at(limits, "cpu"), "max_millis")) {
    const std::string most = fmt::format("at most {:.3g} CPUs", static_cast<double>(*max) / 1000);
    const auto used = number_at(usage, "cpu_ns");
    page.line("cpu", used ? fmt::format("{:.2f}s used, {}", static_cast<double>(*used) / 1e9, most) : most);
  }
  if (const auto max = number_at(limits, "pids_max")) {
    const auto now_there = number_at(usage, "pids");
    page.line("processes", now_there ? fmt::format("{} of {}", *now_there, *max) : fmt::format("at most {}", *max));
  }
  const Json& user = object_at(container, "user");
  if (const auto uid = number_at(user, "uid"))
    page.line("user", fmt::format("{}:{}", *uid, number_at(user, "gid").value_or(0)));
  const Json& ids = object_at(container, "ids");
  if (const auto first = number_at(ids, "first"); first && *first != 0)
    page.line("host ids", fmt::format("{} to {}", *first, *first + number_at(ids, "count").value_or(1) - 1));
  const std::string loosened = joined(list_at(container, "loosened"));
  page.line("loosened", loosened.empty() ? "nothing" : loosened, loosened.empty() ? Colour::none : Colour::yellow);
  page.line("log", text_at(container, "log_trouble"), Colour::red);
  return page.text();
}

std::string plan_text(const Json& answer, const Terminal& terminal) {
  std::string lines;
  for (const Json& planned : list_at(answer, "plan")) {
    const std::string action = text_at(planned, "action");
    const std::string why = text_at(planned, "why");
    const auto [sign, colour] = action == "create"    ? std::pair('+', Colour::green)
                                : action == "replace" ? std::pair('~', Colour::yellow)
                                : action == "remove"  ? std::pair('-', Colour::red)
                                                      : std::pair('=', Colour::none);
    const std::string line =
        fmt::format("{} {} {}{}", sign, action, text_at(planned, "name"), why.empty() ? "" : fmt::format(" ({})", why));
    lines += terminal.paint(escape_line(line), colour) + '\n';
  }
  return lines;
}

namespace {

std::string mounts_text(const Json& volume) {
  std::string text;
  for (const Json& mount : list_at(volume, "mounted_by"))
    text += fmt::format("{}{}:{} ({})", text.empty() ? "" : ", ", text_at(mount, "container"), text_at(mount, "target"),
                        text_at(mount, "mode"));
  return text;
}

}  // namespace

std::string volumes_text(const Json& answer, const Terminal& terminal) {
  std::vector<std::vector<Cell>> rows;
  for (const Json& volume : list_at(answer, "volumes"))
    rows.push_back({{text_at(volume, "name")},
                    {flag_at(volume, "declared") ? "yes" : "no"},
                    {or_dash(mounts_text(volume))},
                    {text_at(volume, "path")}});
  return table_text({{.heading = "NAME"},
                     {.heading = "IN HOST FILE"},
                     {.heading = "MOUNTED BY", .shrinks_to = 12},
                     {.heading = "PATH", .shrinks_to = 12, .leaves = 1}},
                    rows, terminal);
}

std::string volume_text(const Json& volume) {
  Page page{Terminal{}};
  page.line("name", text_at(volume, "name"));
  page.line("path", text_at(volume, "path"));
  page.line("host file", flag_at(volume, "declared") ? "names it" : "does not name it");
  page.line("mounted by", or_dash(mounts_text(volume)));
  if (const auto first = number_at(volume, "first_id")) page.line("first id", fmt::to_string(*first));
  return page.text();
}

}  // namespace orlop::cli
