// Names of signals, as signal(7) writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace orlop::config {

/// The number of `SIGTERM`, `TERM`, `SIGRTMIN+3` or `RTMIN+3`; nothing for anything else.
std::optional<int> signal_number(std::string_view name);
/// `SIGTERM`, `SIGRTMIN+3`.
std::string signal_name(int number);

}  // namespace orlop::config
