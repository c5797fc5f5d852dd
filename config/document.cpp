#include "config/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "config/utf8.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#define TOML_MAX_NESTED_VALUES 32  // the library recurses into arrays and inline tables
#include <toml++/toml.h>

namespace orlop::config {
namespace {

/// Dots outside strings in one line: bounds the depth of dotted keys, which the library does not bound itself and whose
/// tables it frees by recursion.
constexpr std::size_t max_dots_a_line = 32;

Error refuse(const std::string& file, Position at, std::string fact, std::string allowed) {
  return {.kind = ErrorKind::config,
          .chain = {std::move(fact)},
          .place = Place{file, at.line, at.column, {}},
          .remedy = std::move(allowed)};
}

/// What the library would accept and orlop does not: a byte order mark, NUL, private-use code points (see shift()),
/// dotted keys of any depth; and a letter outside ASCII in a key, to name it. Walks the text with TOML's rules for
/// strings and comments; in a text that breaks these rules the library stops before or at the place where this walk
/// goes wrong.
std::optional<Error> find_hazard(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF"))
    return refuse(file, {1, 1}, "the file begins with a byte order mark (U+FEFF)", "save it as plain UTF-8");
  if (text.size() > max_file_bytes)
    return refuse(file, {1, 1}, fmt::format("the file has {} bytes", text.size()),
                  fmt::format("at most {} bytes are read", max_file_bytes));
  Position at{1, 1};
  std::size_t dots = 0;
  std::string_view string_end;  // inside a string: what ends it
  bool comment = false;
  for (std::size_t i = 0; i < text.size(); ++i, ++at.column) {
    const char c = text[i];
    if (c == '\0') return refuse(file, at, "the file holds a NUL byte", "TOML is text");
    if (c == '\xF4' || (c == '\\' && string_end.starts_with('"') && text.substr(i).starts_with("\\U0010")))
      return refuse(file, at, "the file holds a private-use code point, U+100000 or above", "no text has a use for it");
    if (c == '\n') {
      if (string_end.size() == 1) string_end = {};
      comment = false;
      dots = 0;
      at = {at.line + 1, 0};
    } else if (comment) {
      continue;
    } else if (!string_end.empty()) {
      if (c == '\\' && string_end.front() == '"' && i + 1 < text.size() && text[i + 1] != '\n') {
        ++i, ++at.column;
      } else if (text.substr(i).starts_with(string_end)) {
        // `""""` ends a string whose last character is a quote: take as many as there are.
        if (string_end.size() == 3)
          for (; i + 3 < text.size() && text[i + 3] == c; ++i) ++at.column;
        i += string_end.size() - 1;
        at.column += static_cast<std::uint32_t>(string_end.size() - 1);
        string_end = {};
      }
    } else if (c == '#') {
      comment = true;
    } else if (c == '"' || c == '\'') {
      string_end = c == '"' ? "\"\"\"" : "'''";
      if (text.substr(i).starts_with(string_end)) {
        i += 2;
        at.column += 2;
      } else {
        string_end = string_end.substr(0, 1);
      }
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      const std::size_t length = front_of(text.substr(i)).length;
      return refuse(file, at, fmt::format("{} stands outside quotes", excerpt(text.substr(i, length))),
                    "outside text and comments TOML is ASCII: a letter may only look right");
    } else if (c == '.' && ++dots > max_dots_a_line) {
      return refuse(file, at, "keys are nested too deeply", fmt::format("at most {} dots a line", max_dots_a_line));
    }
  }
  return std::nullopt;
}

/// The library's 3.3.0 meets U+00A1 to U+0499 in a bare value with undefined behaviour (it takes them to be unreachable
/// in is_non_ascii_horizontal_whitespace). So it never sees what lies between ASCII and U+10000: such code points go to
/// it shifted into the last private-use plane, one for one, and come back by unshift(). What is no UTF-8 stays, and is
/// refused by the library.
constexpr char32_t shifted = 0x100000;

std::string shift(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = front_of(text);
    if (point.valid && point.value >= 0x80 && point.value < 0x10000)
      append(out, point.value + shifted);
    else
      out += text.substr(0, point.length);
    text.remove_prefix(point.length);
  }
  return out;
}

std::string unshift(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint point = front_of(text);
    append(out, point.value >= shifted ? point.value - shifted : point.value);
    text.remove_prefix(point.length);
  }
  return out;
}

/// Turns the library's columns, which count code points, into bytes.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    bool fresh = true;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) continue;
      if (fresh) lines_.push_back(points_.size());
      points_.push_back(static_cast<std::uint32_t>(i));
      fresh = text[i] == '\n';
    }
    if (fresh) lines_.push_back(points_.size());
    points_.push_back(static_cast<std::uint32_t>(text.size()));
  }
  [[nodiscard]] Position position(const toml::source_position& from) const {
    if (from.line == 0 || from.line > lines_.size() || from.column == 0) return {std::max(from.line, 1U), 1};
    const std::size_t first = lines_[from.line - 1];
    const std::size_t point = std::min(first + from.column - 1, points_.size() - 1);
    return {from.line, points_[point] - points_[first] + 1};
  }
  [[nodiscard]] std::string_view line(std::uint32_t number) const {
    if (number == 0 || number > lines_.size()) return {};
    const std::string_view rest = text_.substr(points_[lines_[number - 1]]);
    return rest.substr(0, rest.find_first_of("\r\n"));
  }

 private:
  std::string_view text_;
  std::vector<std::uint32_t> points_;  ///< where each code point begins, and the end
  std::vector<std::size_t> lines_;     ///< which of them begins each line
};

class Conversion {
 public:
  Conversion(const Lines& lines, const std::string& file) : lines_(lines), file_(file) {}
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

  Value value(const toml::node& node) {
    Value out;
    out.at = lines_.position(node.source().begin);
    switch (node.type()) {
      case toml::node_type::string:
        out.kind = Value::Kind::text;
        out.text = text(node.as_string()->get(), out.at);
        break;
      case toml::node_type::integer:
        out.kind = Value::Kind::integer;
        out.integer = node.as_integer()->get();
        break;
      case toml::node_type::floating_point:
        out.kind = Value::Kind::real;
        out.real = node.as_floating_point()->get();
        break;
      case toml::node_type::boolean:
        out.kind = Value::Kind::boolean;
        out.boolean = node.as_boolean()->get();
        break;
      case toml::node_type::array:
        out.kind = Value::Kind::array;
        for (const toml::node& element : *node.as_array()) out.array.push_back(value(element));
        break;
      case toml::node_type::table:
        for (const auto& [key, element] : *node.as_table()) {
          const Position at = lines_.position(key.source().begin);
          out.table.push_back({text(key.str(), at), at, value(element)});
        }
        break;
      default:
        out.kind = Value::Kind::time;
    }
    return out;
  }

 private:
  std::string text(std::string_view from, Position at) {
    if (from.find('\0') != std::string_view::npos && !error_)
      error_ = refuse(file_, at, fmt::format("{} holds a NUL", excerpt(unshift(from))),
                      "no text of this file may: it would end early in the kernel");
    return unshift(from);
  }

  const Lines& lines_;
  const std::string& file_;
  std::optional<Error> error_;
};

}  // namespace

std::string describe(const Value& value) {
  switch (value.kind) {
    case Value::Kind::text:
      return excerpt(value.text);
    case Value::Kind::integer:
      return fmt::format("{}", value.integer);
    case Value::Kind::real:
      return fmt::format("{}", value.real);
    case Value::Kind::boolean:
      return value.boolean ? "true" : "false";
    case Value::Kind::time:
      return "a date or time";
    case Value::Kind::array:
      return "an array";
    case Value::Kind::table:
      return "a table";
  }
  return {};
}

std::expected<Value, Error> read_document(std::string_view text, const std::string& file_name) {
  if (auto hazard = find_hazard(text, file_name)) return std::unexpected(std::move(*hazard));
  const toml::parse_result parsed = toml::parse(shift(text));
  const Lines lines(text);
  if (parsed.failed()) {
    const toml::parse_error& error = parsed.error();
    const Position at = lines.position(error.source().begin);
    return std::unexpected(refuse(file_name, at, fmt::format("not TOML: {}", unshift(error.description())),
                                  fmt::format("the line reads {}", excerpt(lines.line(at.line)))));
  }
  Conversion conversion(lines, file_name);
  Value root = conversion.value(parsed.table());
  if (conversion.error()) return std::unexpected(*conversion.error());
  return root;
}

}  // namespace orlop::config
