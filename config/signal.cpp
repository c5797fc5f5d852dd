#include "config/signal.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <cstring>

namespace orlop::config {

std::string signal_name(int number) {
  if (number >= SIGRTMIN) return number == SIGRTMIN ? "SIGRTMIN" : fmt::format("SIGRTMIN+{}", number - SIGRTMIN);
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("{}", number) : fmt::format("SIG{}", name);
}

std::optional<int> signal_number(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int number = 1; number <= SIGRTMAX; ++number)
    if (const std::string known = signal_name(number); known.starts_with("SIG") && known.substr(3) == name)
      return number;
  return std::nullopt;
}

}  // namespace orlop::config
