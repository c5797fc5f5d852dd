// What doctor found out about this host: one finding a feature.
#pragma once

#include <string>
#include <vector>

#include "cli/output/json.hpp"
#include "cli/output/terminal.hpp"

namespace orlop::cli::doctor {

enum class Grade : unsigned char {
  good,     ///< all that orlop wants
  weaker,   ///< orlop runs, and something holds less than it could
  missing,  ///< orlop, or what the finding names, does not run
};
/// `ok`, `weaker`, `missing`.
std::string_view to_string(Grade grade);

struct Finding {
  std::string what = {};
  Grade grade = Grade::good;
  std::string found = {};
  std::string consequence = {};  ///< what follows; empty when good
  std::string remedy = {};       ///< may be empty
};
using Findings = std::vector<Finding>;

/// Appends what this kernel gives, found by trying where trying changes nothing. What only root may try is left out for
/// others, and said. `state_directory` is where volumes lie, or will.
void look_at_kernel(Findings& findings, const std::string& state_directory);
/// Appends what the host gives: cgroups, programs, limits, hardening. Makes no group and no file that stays.
void look_at_host(Findings& findings);

/// Whether nothing is missing.
bool is_able(const Findings& findings);
std::string text(const Findings& findings, const Terminal& terminal);
/// {"able": …, "findings": [{"what", "grade", "found", "consequence", "remedy"}]}
Json json(const Findings& findings);

}  // namespace orlop::cli::doctor
