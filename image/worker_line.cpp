#include "image/worker_line.hpp"

#include <fmt/format.h>

#include <optional>

#include "image/json.hpp"

namespace orlop::image {
namespace {

constexpr std::size_t max_message_bytes = 2000;  // escaped sixfold it still fits a line, with the remedy beside it

std::optional<ErrorKind> error_kind(std::string_view name) {
  for (int value = 0; value <= static_cast<int>(ErrorKind::internal); ++value)
    if (to_string(static_cast<ErrorKind>(value)) == name) return static_cast<ErrorKind>(value);
  return std::nullopt;
}

}  // namespace

std::string to_json(const WorkerLine& line) {
  const std::string message = line.message.substr(0, max_message_bytes);
  switch (line.kind) {
    case WorkerLine::Kind::progress:
      return print_json({{"progress", message}}) + "\n";
    case WorkerLine::Kind::sealed:
      return print_json({{"sealed", message}}) + "\n";
    case WorkerLine::Kind::failed:
      break;
  }
  return print_json({{"failed", message}, {"kind", to_string(line.error_kind)}, {"remedy", line.remedy}}) + "\n";
}

Result<WorkerLine> parse_worker_line(std::string_view text) {
  if (text.size() > max_worker_line_bytes) return fail(ErrorKind::limit, "a line of orlop-image is too long");
  Result<Json> json = parse_json(text);
  if (!json) return fail(std::move(json), "a line of orlop-image");
  Fields fields(*json, "a line of orlop-image", Fields::Absent::refused);
  WorkerLine line;
  if (fields.has("progress")) {
    line.message = fields.text("progress");
  } else if (fields.has("sealed")) {
    line.kind = WorkerLine::Kind::sealed;
    line.message = fields.text("sealed");
  } else {
    line.kind = WorkerLine::Kind::failed;
    line.message = fields.text("failed");
    const std::string name = fields.text("kind");
    const std::optional<ErrorKind> kind = error_kind(name);
    if (!kind) fields.refuse("kind", "is not known");
    line.error_kind = kind.value_or(ErrorKind::internal);
    line.remedy = fields.text("remedy");
  }
  fields.refuse_others();
  if (Result<void> good = fields.done(); !good) return pass(std::move(good));
  return line;
}

}  // namespace orlop::image
