#include "supervisor/core/reason.hpp"

#include <fmt/format.h>
#include <string.h>
#include <csignal>

#include <array>

namespace orlop::core {

namespace {

struct Word {
  Why why;
  std::string_view name;    ///< in files, records and on the bus
  std::string_view prefix;  ///< for people, before the detail
  std::string_view suffix;  ///< for people, behind it
};
constexpr std::array<Word, why_count> words{{
    {Why::none, "none", "", ""},
    {Why::exited, "exited", "exited ", ""},
    {Why::signal, "signal", "signal ", ""},
    {Why::oom, "oom", "oom (", ")"},
    {Why::unhealthy, "unhealthy", "unhealthy: ", ""},
    {Why::cannot_start, "cannot-start", "cannot start: ", ""},
    {Why::lost, "lost", "lost: ", ""},
    {Why::never_ran, "never-ran", "never ran: ", ""},
    {Why::wanted, "wanted", "wanted by ", ""},
    {Why::stopped, "stopped", "stopped by ", ""},
    {Why::restarted, "restarted", "restarted by ", ""},
    {Why::replaced, "replaced", "replaced: ", ""},
    {Why::removed, "removed", "removed: ", ""},
    {Why::requirement, "requirement", "stopped with its requirement ", ""},
    {Why::shutdown, "shutdown", "shutdown", ""},
    {Why::killed, "killed", "killed after ", ""},
    {Why::limit, "limit", "restart limit (", ")"},
    {Why::backoff, "backoff", "restart in ", ""},
    {Why::started, "started", "started", ""},
    {Why::adopted, "adopted", "found alive by a new orlopd", ""},
    {Why::healthy, "healthy", "healthy", ""},
    {Why::signalled, "signalled", "sent ", " by operator"},
    {Why::trouble, "trouble", "", ""},
}};
static_assert([] {
  for (std::size_t i = 0; i < words.size(); ++i)
    if (static_cast<std::size_t>(words[i].why) != i) return false;
  return true;
}());

}  // namespace

std::string_view to_string(Why why) {
  return words[static_cast<std::size_t>(why)].name;
}

std::optional<Why> why_from(std::string_view name) {
  for (const Word& word : words)
    if (word.name == name) return word.why;
  return std::nullopt;
}

std::string text(const Reason& reason) {
  const Word& word = words[static_cast<std::size_t>(reason.why)];
  if (reason.detail.empty()) {  // the bare word, without what would have introduced the detail
    const std::string_view bare = word.prefix.substr(0, word.prefix.find_last_not_of(" (:") + 1);
    return std::string(bare);
  }
  return fmt::format("{}{}{}", word.prefix, reason.detail, word.suffix);
}

bool is_planned(Why why) {
  switch (why) {
    case Why::never_ran:
    case Why::wanted:
    case Why::stopped:
    case Why::restarted:
    case Why::replaced:
    case Why::removed:
    case Why::requirement:
    case Why::shutdown:
      return true;
    default:
      return false;
  }
}

std::string signal_name(int signal) {
  if (const char* abbreviation = ::sigabbrev_np(signal)) return fmt::format("SIG{}", abbreviation);
  if (signal >= SIGRTMIN && signal <= SIGRTMAX) return fmt::format("SIGRTMIN+{}", signal - SIGRTMIN);
  return fmt::to_string(signal);
}

Reason reason_of(const ExitStatus& exit) {
  if (exit.signal != 0) return {Why::signal, signal_name(exit.signal)};
  return {Why::exited, fmt::to_string(exit.code)};
}

}  // namespace orlop::core
