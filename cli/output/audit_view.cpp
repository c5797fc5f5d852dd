#include "cli/output/audit_view.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/digest.hpp"

namespace orlop::cli {
namespace {

std::string actor_text(const audit::Record& record) {
  if (!record.actor) return "orlop";
  const audit::Client& client = *record.actor;
  return fmt::format("uid {} pid {} {}", client.uid, client.pid, client.executable.empty() ? "?" : client.executable);
}

}  // namespace

std::string entry_text(const std::optional<audit::Entry>& entry, std::string_view line, const Terminal& terminal) {
  if (!entry) return terminal.paint(escape_line(fmt::format("unreadable: {}", line)), Colour::red) + '\n';
  const audit::Record& record = entry->record;
  const bool denied = record.verdict == audit::Verdict::denied;
  std::string text = fmt::format("{} {} {} {} {}", entry->seq, rfc3339(entry->time), audit::to_string(record.verdict),
                                 record.what, record.object);
  if (!record.why.empty()) text += fmt::format(" ({})", record.why);
  text += " by " + actor_text(record);
  if (record.repeats > 1) text += fmt::format(", {} times", record.repeats);
  return terminal.paint(escape_line(text), denied ? Colour::yellow : Colour::none) + '\n';
}

std::string entry_json_line(const std::optional<audit::Entry>& entry, std::string_view line) {
  if (entry) return std::string(line) + '\n';  // strict ASCII JSON, as parse_line() has just found
  return Json({{"unreadable", line}}).dump(-1, ' ', true, Json::error_handler_t::replace) + '\n';
}

std::string link_text(const audit::Link& link) {
  return fmt::format("{}:{}", link.seq, hex(link.hash));
}

Result<audit::Link> parse_link(std::string_view written) {
  audit::Link link;
  const std::size_t colon = written.find(':');
  const std::string_view number = written.substr(0, colon);
  const auto [stopped, error] = std::from_chars(number.data(), number.data() + number.size(), link.seq);
  const Result<Sha256> hash = parse_hex(colon == std::string_view::npos ? "" : written.substr(colon + 1));
  if (error != std::errc{} || stopped != number.data() + number.size() || !hash)
    return fail(ErrorKind::config, fmt::format("--head '{}' is no place in the chain", written),
                "write NUMBER:HASH, as audit verify prints it");
  link.hash = *hash;
  return link;
}

std::string verified_text(const audit::Verified& verified, const Terminal& terminal) {
  if (verified.fault) {
    const audit::Fault& fault = *verified.fault;
    std::string text = fmt::format("{}: {}", audit::to_string(fault.kind), fault.explanation);
    if (!fault.file.empty())
      text += fmt::format("\n  file: {}{}", fault.file, fault.line != 0 ? fmt::format(":{}", fault.line) : "");
    if (fault.seq != 0) text += fmt::format("\n  record: {}", fault.seq);
    text += fmt::format("\n  sound: {} records before it\n", verified.records);
    return terminal.paint("audit record is NOT whole", Colour::red) + "\n" + escape_lines(text);
  }
  if (verified.records == 0) return "whole: no records\n";
  std::string text = fmt::format("whole: {} records, {} to {}\nhead: {}\n", verified.records, verified.first_seq,
                                 verified.last.seq, link_text(verified.last));
  if (verified.beyond_head != 0)
    text += fmt::format("{} of them were not yet known to be on the disk\n", verified.beyond_head);
  return text;
}

Json verified_json(const audit::Verified& verified) {
  Json json = {{"whole", !verified.fault},
               {"records", verified.records},
               {"first", verified.first_seq},
               {"head", link_text(verified.last)},
               {"beyond_head", verified.beyond_head}};
  if (verified.fault)
    json["fault"] = {{"kind", audit::to_string(verified.fault->kind)},
                     {"record", verified.fault->seq},
                     {"file", verified.fault->file},
                     {"line", verified.fault->line},
                     {"explanation", verified.fault->explanation}};
  return json;
}

}  // namespace orlop::cli
