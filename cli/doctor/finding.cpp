#include "cli/doctor/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orlop::cli::doctor {

std::string_view to_string(Grade grade) {
  static constexpr std::array<std::string_view, 3> names = {"ok", "weaker", "missing"};
  return names.at(static_cast<std::size_t>(grade));
}

bool is_able(const Findings& findings) {
  return std::ranges::none_of(findings, [](const Finding& finding) { return finding.grade == Grade::missing; });
}

std::string text(const Findings& findings, const Terminal& terminal) {
  std::size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, columns_of(finding.what));
  std::string lines;
  for (const Finding& finding : findings) {
    const Colour colour = finding.grade == Grade::good     ? Colour::green
                          : finding.grade == Grade::weaker ? Colour::yellow
                                                           : Colour::red;
    lines += terminal.paint(fmt::format("{:<7}", to_string(finding.grade)), colour);
    lines += fmt::format("  {:<{}}  {}\n", finding.what, width, escape_line(finding.found));
    if (!finding.consequence.empty()) lines += fmt::format("{:11}{}\n", "", escape_line(finding.consequence));
    if (!finding.remedy.empty()) lines += fmt::format("{:11}remedy: {}\n", "", escape_line(finding.remedy));
  }
  return lines;
}

Json json(const Findings& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings)
    list.push_back({{"what", finding.what},
                    {"grade", to_string(finding.grade)},
                    {"found", finding.found},
                    {"consequence", finding.consequence},
                    {"remedy", finding.remedy}});
  return {{"able", is_able(findings)}, {"findings", std::move(list)}};
}

}  // namespace orlop::cli::doctor
