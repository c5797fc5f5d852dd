#include "cli/output/image_view.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/output/table.hpp"
#include "image/reference.hpp"

namespace orlop::cli {
namespace {

std::string line(std::string_view key, const std::string& value) {
  return value.empty() ? std::string() : fmt::format("{:<12}{}\n", fmt::format("{}:", key), escape_line(value));
}

std::string lines(std::string_view key, const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += line(text.empty() ? key : "", value);
  return text;
}

std::string size_text(std::int64_t bytes) {
  return fmt::format("{:.1f}MiB", static_cast<double>(bytes) / (1024 * 1024));
}

}  // namespace

std::string images_text(const Json& answer, const Terminal& terminal) {
  std::vector<std::vector<Cell>> rows;
  for (const Json& image : list_at(answer, "images")) {
    std::string users;
    for (const Json& user : list_at(image, "used_by"))
      if (user.is_string()) users += (users.empty() ? "" : ", ") + user.get<std::string>();
    rows.push_back({{text_at(image, "name")},
                    {text_at(image, "digest")},
                    {size_text(number_at(image, "size_bytes").value_or(0))},
                    {users.empty() ? "-" : users}});
  }
  std::string text = table_text({{.heading = "NAME", .shrinks_to = 20},
                                 {.heading = "DIGEST", .shrinks_to = 20},
                                 {.heading = "SIZE", .right = true, .leaves = 2},
                                 {.heading = "USED BY", .shrinks_to = 8, .leaves = 1}},
                                rows, terminal);
  for (const Json& broken : list_at(answer, "broken"))
    if (broken.is_string())
      text += terminal.paint("broken: " + escape_line(broken.get<std::string>()), Colour::red) + '\n';
  return text;
}

std::string report_text(const image::Record& record) {
  std::string text;
  for (const image::ReportItem& item : record.report)
    text += escape_line(fmt::format("{} {}: {}{}", item.count, image::to_string(item.finding),
                                    fmt::join(item.examples, ", "), item.count > item.examples.size() ? ", …" : "")) +
            '\n';
  return text;
}

std::string image_text(const image::Record& record) {
  std::string text = line("reference", image::text(image::Reference{record.name, record.manifest}));
  text += line("size", size_text(static_cast<std::int64_t>(record.seal_size.count)));
  text += line("seal", "sha256:" + hex(record.seal));
  text += line("entrypoint", fmt::format("{}", fmt::join(record.entrypoint, " ")));
  text += line("command", fmt::format("{}", fmt::join(record.command, " ")));
  text += line("workdir", record.workdir);
  if (record.user) text += line("user", fmt::format("{}:{}", record.user->uid, record.user->gid));
  text += line("user", record.user_problem);
  text += lines("env", record.env);
  text += lines("volumes", record.volumes);
  text += line("ports", fmt::format("{}", fmt::join(record.exposed_ports, ", ")));
  if (record.stop_signal != 0) text += line("stop signal", fmt::to_string(record.stop_signal));
  if (record.healthcheck) text += line("health", fmt::format("{}", fmt::join(record.healthcheck->command, " ")));
  std::vector<std::string> labels;
  for (const auto& [key, value] : record.labels) labels.push_back(fmt::format("{}={}", key, value));
  text += lines("labels", labels);
  const std::string report = report_text(record);
  if (!report.empty()) text += "sealing:\n" + report;
  return text;
}

}  // namespace orlop::cli
