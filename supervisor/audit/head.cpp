#include "supervisor/audit/head.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.hpp"

namespace orlop::audit {
namespace {

constexpr std::size_t max_head_bytes = 4096;

nlohmann::ordered_json link_json(const Link& link) {
  return {{"seq", link.seq}, {"hash", hex(link.hash)}};
}

Link parse_link(const nlohmann::ordered_json& json) {
  const Result<Sha256> hash = parse_hex(json.at("hash").get<std::string>());
  if (!hash) throw std::invalid_argument("hash");
  return Link{.seq = json.at("seq").get<std::uint64_t>(), .hash = *hash};
}

}  // namespace

std::string to_json(const Head& head) {
  return nlohmann::ordered_json{{"version", 1},
                                {"last", link_json(head.last)},
                                {"file", head.file},
                                {"offset", head.offset},
                                {"oldest_file", head.oldest_file},
                                {"before_oldest", link_json(head.before_oldest)}}
             .dump() +
         '\n';
}

Result<Head> parse_head(std::string_view json) {
  const auto refuse = [] { return fail(ErrorKind::corrupt, "the head of the audit log is unreadable"); };
  // The one place that may throw: a member that is missing or of another type.
  try {
    const auto parsed = nlohmann::ordered_json::parse(json);
    if (parsed.at("version").get<std::uint64_t>() > 1)
      return fail(ErrorKind::unsupported, "the head of the audit log is of a later version of orlop");
    const Head head{.last = parse_link(parsed.at("last")),
                    .file = parsed.at("file").get<std::uint64_t>(),
                    .offset = parsed.at("offset").get<std::uint64_t>(),
                    .oldest_file = parsed.at("oldest_file").get<std::uint64_t>(),
                    .before_oldest = parse_link(parsed.at("before_oldest"))};
    if (to_json(head) != json || head.oldest_file > head.file || head.oldest_file == 0) return refuse();
    return head;
  } catch (const std::exception&) {
    return refuse();
  }
}

Result<std::optional<Head>> read_head(BorrowedFd state) {
  Result<std::string> json = read_file(state, head_name, max_head_bytes);
  if (!json && json.error().errno_value == ENOENT) return std::nullopt;
  if (!json) return pass(std::move(json));
  Result<Head> head = parse_head(*json);
  if (!head) return pass(std::move(head));
  return *head;
}

Result<void> write_head(BorrowedFd state, const Head& head) {
  return replace_file(state, head_name, to_json(head), Durability::power_loss);
}

std::string file_name(std::uint64_t number) {
  return fmt::format("audit.{}.jsonl", number);
}

std::optional<std::uint64_t> file_number(std::string_view name) {
  constexpr std::string_view prefix = "audit.";
  std::uint64_t number = 0;
  if (!name.starts_with(prefix)) return std::nullopt;
  (void)std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);  // the comparison decides
  if (number == 0 || name != file_name(number)) return std::nullopt;
  return number;
}

}  // namespace orlop::audit
