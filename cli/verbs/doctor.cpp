// doctor: what this kernel and host give and lack. Needs no supervisor.
#include <fmt/format.h>

#include "cli/doctor/finding.hpp"
#include "cli/invocation.hpp"

namespace orlop::cli {

void add_doctor_verb(CLI::App& app, Invocation& invocation) {
  CLI::App* verb =
      app.add_subcommand("doctor", "Say what this kernel and host give and lack; exit code 1 if too little");
  add_json_flag(*verb, invocation);
  verb->callback([&invocation] {
    invocation.run = [&invocation]() -> Result<int> {
      doctor::Findings findings;
      doctor::look_at_kernel(findings, invocation.state_directory());
      doctor::look_at_host(findings);
      if (invocation.json)
        fmt::print("{}", printed(doctor::json(findings)));
      else
        fmt::print("{}", doctor::text(findings, Terminal::of(stdout)));
      return doctor::is_able(findings) ? exit_code::done : exit_code::failed;
    };
  });
}

}  // namespace orlop::cli
