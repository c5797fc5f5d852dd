#include "supervisor/core/plan.hpp"

#include <algorithm>
#include <array>

namespace orlop::core {

namespace {

struct Word {
  std::string_view name;
  char sign;
};
constexpr std::array<Word, 4> words{{{"create", '+'}, {"replace", '~'}, {"remove", '-'}, {"keep", '='}}};

}  // namespace

std::string_view to_string(Action action) {
  return words[static_cast<std::size_t>(action)].name;
}

char sign(Action action) {
  return words[static_cast<std::size_t>(action)].sign;
}

Planned plan(const std::string& name, const Container* now, const Wanted* wanted) {
  if (!wanted) return {Action::remove, name, "not in the host file"};
  if (!now) return {Action::create, name, "new"};
  const Record& record = now->record;
  if (!now->wanted) return {Action::create, name, "was being removed"};
  const Sha256& digest = record.phase == Phase::pending ? now->wanted->digest : record.launched.digest;
  if (digest != wanted->digest) return {Action::replace, name, "its configuration changed"};
  if (record.wish == Wish::stop) return {Action::create, name, "was stopped by an operator"};
  if (record.phase == Phase::failed) return {Action::create, name, "had failed: " + text(record.reason)};
  return {Action::keep, name, std::string(to_string(record.phase))};
}

std::vector<Planned> plan(const State& state, const HostWanted& host) {
  std::vector<Planned> all;
  for (const auto& [name, container] : state.containers) {
    const auto wanted = host.find(name);
    all.push_back(plan(name, &container, wanted == host.end() ? nullptr : &wanted->second));
  }
  for (const auto& [name, wanted] : host)
    if (!state.containers.contains(name)) all.push_back(plan(name, nullptr, &wanted));
  std::ranges::sort(all, {}, &Planned::name);
  return all;
}

}  // namespace orlop::core
