#include "config/check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace orlop::config {
namespace {

template <class T>
std::vector<std::string_view> keys(const std::map<std::string, T>& map) {
  std::vector<std::string_view> out;
  for (const auto& [name, value] : map) out.push_back(name);
  return out;
}

/// `did you mean X?`, or all there are if they are few.
template <class T>
std::string suggest(std::string_view written, const std::map<std::string, T>& known, std::string_view none) {
  constexpr std::size_t few = 16;
  if (known.empty()) return std::string(none);
  const std::vector<std::string_view> names = keys(known);
  if (const std::string_view near = nearest(written, names); !near.empty())
    return fmt::format("did you mean {}?", near);
  if (names.size() > few) return fmt::format("name one of the {} that the file declares", names.size());
  return fmt::format("there are {}", fmt::join(names, ", "));
}

class ContainerCheck {
 public:
  ContainerCheck(const Host& host, Container& container, Diagnostics& diagnostics)
      : host_(host), container_(container), diagnostics_(diagnostics) {}

  void all() {
    limits();
    life();
    references("after", container_.after);
    references("requires", container_.requirements);
    mounts();
  }

 private:
  void refuse(std::string_view key, std::string_view fact, std::string remedy) {
    diagnostics_.refuse(container_.places.of(key), fmt::format("container '{}' {}", container_.name, fact),
                        std::move(remedy));
  }
  [[nodiscard]] bool good(std::string_view key) const {
    return !diagnostics_.refused(fmt::format("container.{}.{}", container_.name, key));
  }

  void limits() {
    const cgroups::Limits& limits = container_.limits;
    if (good("resources.memory")) {
      const Bytes high = limits.memory_high.value_or(limits.memory_max);
      if (high > limits.memory_max)
        refuse(
            "resources.memory.high",
            fmt::format("has memory.high {} above memory.max {}", format_bytes(high), format_bytes(limits.memory_max)),
            "allowed: min at most high, high at most max");
      if (limits.memory_min > high)
        refuse("resources.memory.min",
               fmt::format("has memory.min {} above {} {}", format_bytes(limits.memory_min),
                           limits.memory_high ? "memory.high" : "memory.max", format_bytes(high)),
               "allowed: min at most high, high at most max");
    }
    if (good("resources.cpu") && limits.cpu_min_millis > limits.cpu_max_millis)
      refuse("resources.cpu.min",
             fmt::format("has cpu.min {} above cpu.max {}", static_cast<double>(limits.cpu_min_millis) / 1000,
                         static_cast<double>(limits.cpu_max_millis) / 1000),
             "allowed: min at most max");
  }

  void life() {
    Restart& restart = container_.restart;
    if (good("restart.backoff") && restart.backoff_min > restart.backoff_max)
      refuse("restart.backoff.min",
             fmt::format("has backoff.min {} above backoff.max {}", format_duration(restart.backoff_min),
                         format_duration(restart.backoff_max)),
             "allowed: min at most max");
    if (!good("run") || !good("restart.policy") || container_.run == Run::always) return;
    if (!container_.places.wrote("restart.policy")) restart.policy = RestartPolicy::no;
    if (container_.run == Run::once && restart.policy != RestartPolicy::no)
      refuse("restart.policy", fmt::format("runs once and has restart.policy \"{}\"", to_string(restart.policy)),
             "leave restart.policy out, or write run = \"always\"");
  }

  void references(std::string_view key, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      if (diagnostics_.full()) return;
      if (name == container_.name)
        refuse(key, fmt::format("names itself in {}", key), "name other containers only");
      else if (!host_.containers.contains(name) && good(key))
        refuse(key, fmt::format("names '{}' in {}, and there is no such container", name, key),
               suggest(name, host_.containers, "there is none"));
    }
  }

  /// One list of targets from three tables: none twice, none inside a mount in which orlop makes no directory.
  void mounts() {
    for (const auto& [target, mount] : container_.volumes) {
      if (diagnostics_.full()) return;
      if (!mount.volume.empty() && !host_.volumes.contains(mount.volume))
        diagnostics_.refuse(
            mount.places.of("volume"),
            fmt::format("container '{}' mounts volume '{}', which is not declared", container_.name, mount.volume),
            suggest(mount.volume, host_.volumes, fmt::format("declare it: [volume.{}]", mount.volume)));
      place_at(target, mount.places.of(""));
    }
    for (const auto& [target, source] : container_.allow.host_paths)
      place_at(target, container_.places.of("allow.host_paths"));
    for (const auto& [target, tmpfs] : container_.tmpfs) below_bind(target, tmpfs.places.of(""));
    if (container_.tmpfs.size() + binds_.size() > max_mounts)
      refuse("", fmt::format("has {} mounts", container_.tmpfs.size() + binds_.size()),
             fmt::format("allowed: {}, the standard tmpfs included", max_mounts));
  }

  void place_at(const std::string& target, const Place& place) {
    const auto tmpfs = container_.tmpfs.find(target);
    const bool standard = tmpfs != container_.tmpfs.end() && !tmpfs->second.places.wrote("");
    if (standard) container_.tmpfs.erase(tmpfs);
    const bool taken = !standard && tmpfs != container_.tmpfs.end();
    if (!binds_.insert(target).second || taken)
      diagnostics_.refuse(place, fmt::format("container '{}' mounts two things at {}", container_.name, target),
                          "keep one of volumes, tmpfs and allow.host_paths for it");
    below_bind(target, place);
  }

  void below_bind(const std::string& target, const Place& place) {
    for (std::size_t slash = target.rfind('/'); slash != 0 && slash != std::string::npos;
         slash = target.rfind('/', slash - 1)) {
      const std::string above = target.substr(0, slash);
      if (!container_.volumes.contains(above) && !container_.allow.host_paths.contains(above)) continue;
      const Place at = place.line == 0 ? container_.places.of("volumes") : place;  // a standard tmpfs has no place
      diagnostics_.refuse(
          at, fmt::format("container '{}' mounts at {}, inside what it mounts at {}", container_.name, target, above),
          "mount it elsewhere: orlop makes no directory in a volume or in a path of the host");
      return;
    }
  }

  const Host& host_;
  Container& container_;
  Diagnostics& diagnostics_;
  std::set<std::string> binds_;
};

/// Finds circles of `after` and `requires` by taking away, again and again, what waits for nothing that is left.
class OrderCheck {
 public:
  OrderCheck(const Host& host, Diagnostics& diagnostics) : host_(host), diagnostics_(diagnostics) {
    for (const auto& [name, container] : host.containers)
      for (const auto* names : {&container.after, &container.requirements})
        for (const std::string& first : *names)
          if (first != name && host.containers.contains(first))
            waits_[name].insert(first), waiting_[first].insert(name);
  }

  void all() {
    std::vector<std::string> ready;
    for (const auto& [name, container] : host_.containers)
      if (!waits_.contains(name)) ready.push_back(name);
    for (;;) {
      for (; !ready.empty();) {
        const std::string name = ready.back();
        ready.pop_back();
        remove(name, ready);
      }
      if (waits_.empty()) return;
      // What is left waits for something that is left: going on from any leads into a circle.
      std::vector<std::string> path = {waits_.begin()->first};
      while (std::ranges::count(path, path.back()) < 2) path.push_back(*waits_.at(path.back()).begin());
      path.erase(path.begin(), std::ranges::find(path, path.back()));
      const Container& container = host_.containers.at(path.front());
      const bool after = std::ranges::find(container.after, path[1]) != container.after.end();
      diagnostics_.refuse(container.places.of(after ? "after" : "requires"),
                          fmt::format("containers wait for each other: {}", fmt::join(path, " after ")),
                          "take one of them out of after or requires");
      waits_.erase(path.front());
      ready.push_back(path.front());
    }
  }

 private:
  void remove(const std::string& name, std::vector<std::string>& ready) {
    for (const std::string& other : waiting_[name]) {
      const auto found = waits_.find(other);
      if (found == waits_.end() || found->second.erase(name) == 0 || !found->second.empty()) continue;
      waits_.erase(found);
      ready.push_back(other);
    }
  }

  const Host& host_;
  Diagnostics& diagnostics_;
  std::map<std::string, std::set<std::string>> waits_;    ///< container → those it waits for
  std::map<std::string, std::set<std::string>> waiting_;  ///< container → those that wait for it
};

}  // namespace

void check(Host& host, Diagnostics& diagnostics) {
  for (auto& [name, container] : host.containers) ContainerCheck(host, container, diagnostics).all();
  OrderCheck(host, diagnostics).all();
}

}  // namespace orlop::config
