#include "config/effective.hpp"

#include <fmt/format.h>

#include "config/key.hpp"

namespace orlop::config {

std::string effective_toml(const Container& container) {
  std::string out = fmt::format("[container.{}]\n", container.name);
  for (const Key<Container>& key : keys_of<Container>()) key.print(container, key.path, out);
  return out;
}

std::string effective_toml(const Host& host) {
  constexpr std::string_view section = "host.";
  std::string out = "[host]\n";
  for (const Key<Host>& key : keys_of<Host>())
    if (key.path.starts_with(section)) key.print(host, key.path.substr(section.size()), out);
  for (const auto& [name, volume] : host.volumes) out += fmt::format("\n[volume.{}]\n", name);
  for (const auto& [name, container] : host.containers) out += "\n" + effective_toml(container);
  return out;
}

Sha256 digest(const Container& container) {
  return sha256(effective_toml(container));
}

}  // namespace orlop::config
