#include "config/parse.hpp"

#include "config/check.hpp"
#include "config/key.hpp"

namespace orlop::config {

std::expected<Host, std::vector<Error>> parse(std::string_view text, std::string file_name) {
  auto document = read_document(text, file_name);
  if (!document) return std::unexpected(std::vector{std::move(document).error()});
  Diagnostics diagnostics(std::move(file_name));
  Host host;
  (void)Table<Host>::read(*document, host, Context{diagnostics, {}});  // what it refuses is in diagnostics
  check(host, diagnostics);
  if (!diagnostics.empty()) return std::unexpected(std::move(diagnostics).take());
  return host;
}

}  // namespace orlop::config
