#include "supervisor/view_json.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/capability.hpp"
#include "config/effective.hpp"
#include "sandbox/seccomp.hpp"

namespace orlop::supervisor {
namespace {

using Json = nlohmann::ordered_json;

std::string print(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json time_json(std::uint64_t usec) {
  if (usec == 0) return nullptr;
  return rfc3339(WallTime(std::chrono::microseconds(usec)));
}

Json container_json(const control::ContainerView& view) {
  return {{"name", view.name},
          {"state", view.state},
          {"health", view.health},
          {"pid", view.pid},
          {"started", time_json(view.started_usec)},
          {"restarts", view.restarts},
          {"exit_code", view.exit_code ? Json(*view.exit_code) : Json()},
          {"reason", view.reason},
          {"image", view.image},
          {"start", view.start_number}};
}

Json limits_json(const cgroups::Limits& limits) {
  Json json = {
      {"cpu",
       {{"weight", limits.cpu_weight}, {"min_millis", limits.cpu_min_millis}, {"max_millis", limits.cpu_max_millis}}},
      {"memory", {{"min_bytes", limits.memory_min.count}, {"max_bytes", limits.memory_max.count}}},
      {"swap_max_bytes", limits.swap_max.count},
      {"pids_max", limits.pids_max}};
  if (limits.memory_high) json["memory"]["high_bytes"] = limits.memory_high->count;
  if (!limits.cpus.empty()) json["cpus"] = limits.cpus;
  return json;
}

Json usage_json(const Live* live) {
  if (live == nullptr || !live->group) return nullptr;
  const Result<cgroups::Usage> usage = live->group->usage();
  if (!usage) return nullptr;
  return {{"memory_bytes", usage->memory.count}, {"memory_peak_bytes", usage->memory_peak.count},
          {"cpu_ns", usage->cpu_time.count()},   {"pids", usage->pids},
          {"pids_refused", usage->pids_refused}, {"oom_kills", usage->oom_kills}};
}

// Every loosening that the host file names, in its own words.
Json loosened_json(const config::Container& container) {
  Json list = Json::array();
  const config::Allow& allow = container.allow;
  for (const std::string& capability : config::capability_names(allow.capabilities))
    list.push_back("allow.capabilities " + capability);
  if (allow.writable_root) list.push_back("allow.writable_root " + format_bytes(*allow.writable_root));
  if (allow.root_user) list.push_back("allow.root_user");
  if (allow.cgroup_view) list.push_back("allow.cgroup_view");
  for (const auto& [inside, outside] : allow.host_paths)
    list.push_back(fmt::format("allow.host_paths {} = {}", inside, outside));
  if (allow.best_effort_memory_min) list.push_back("allow.best_effort_memory_min");
  return list;
}

}  // namespace

int exit_code_of(const core::ExitStatus& exit) {
  return exit.signal != 0 ? 128 + exit.signal : exit.code;
}

std::string status_json(const control::SupervisorView& view, const std::vector<control::ContainerView>& containers,
                        const std::string& damage) {
  Json json = {{"name", view.name},
               {"version", view.version},
               {"state", view.state},
               {"labels", view.labels},
               {"containers", Json::array()}};
  if (!damage.empty()) json["damage"] = damage;
  for (const control::ContainerView& container : containers) json["containers"].push_back(container_json(container));
  return print(json);
}

std::string inspect_json(const Inspected& inspected) {
  const core::Record& record = inspected.container.record;
  const bool up = inspected.live != nullptr && record.phase != core::Phase::exited;
  Json json = {
      {"name", inspected.name},
      {"state", core::to_string(record.phase)},
      {"health", core::to_string(inspected.container.health)},
      {"health_output", inspected.container.probe_output},
      {"pid", up ? inspected.live->pid : 0},
      {"started",
       record.began ? Json(rfc3339(std::chrono::floor<std::chrono::milliseconds>(to_wall(*record.began)))) : Json()},
      {"start", record.start},
      {"restarts", record.restarts},
      {"exit_code", record.exit ? Json(exit_code_of(*record.exit)) : Json()},
      {"reason", core::text(record.reason)},
      {"trouble", inspected.container.trouble},
      {"waits_for", inspected.container.waits_for}};
  if (inspected.wanted != nullptr) {
    json["image"] = image::text(inspected.wanted->image);
    json["limits"] = limits_json(inspected.wanted->limits);
    json["loosened"] = loosened_json(*inspected.wanted);
    const sandbox::AllowedCalls calls = sandbox::allowed_calls(inspected.wanted->allow.capabilities);
    json["seccomp"] = {{"allowed", calls.always}, {"conditional", calls.conditional}};
    json["effective"] = config::effective_toml(*inspected.wanted);
  }
  json["usage"] = usage_json(inspected.live);
  json["ids"] = {{"first", inspected.first_id}, {"count", sandbox::id_range_size}};
  if (inspected.live != nullptr) json["user"] = {{"uid", inspected.live->spec.uid}, {"gid", inspected.live->spec.gid}};
  json["landlock_abi"] = inspected.kernel.landlock_abi;
  json["cgroups"] = cgroups::to_string(inspected.cgroups.kind);
  if (inspected.live != nullptr && inspected.live->log && !inspected.live->log->trouble().empty())
    json["log_trouble"] = inspected.live->log->trouble();
  return print(json);
}

std::string images_json(const image::Listing& listing, const config::Host& host) {
  Json json = {{"images", Json::array()}, {"broken", Json::array()}};
  for (const image::Record& record : listing.images) {
    Json used = Json::array();
    for (const auto& [name, container] : host.containers)
      if (container.image.manifest == record.manifest) used.push_back(name);
    json["images"].push_back({{"name", record.name},
                              {"digest", "sha256:" + hex(record.manifest)},
                              {"reference", image::text(image::Reference{record.name, record.manifest})},
                              {"size_bytes", record.seal_size.count},
                              {"seal", "sha256:" + hex(record.seal)},
                              {"used_by", used}});
  }
  for (const Error& error : listing.broken) json["broken"].push_back(sentence(error));
  return print(json);
}

namespace {

Json one_volume(const std::string& name, const config::Host& host, const IdMap& ids, const std::string& state) {
  Json mounted = Json::array();
  for (const auto& [container, wanted] : host.containers)
    for (const auto& [target, mount] : wanted.volumes)
      if (mount.volume == name)
        mounted.push_back({{"container", container}, {"target", target}, {"mode", config::to_string(mount.mode)}});
  const auto range = ids.find(id_owner_of_volume(name));
  return {{"name", name},
          {"path", state + "/volumes/" + name + "/data"},
          {"declared", host.volumes.contains(name)},
          {"first_id", range == ids.end() ? Json() : Json(range->second.first)},
          {"mounted_by", mounted}};
}

}  // namespace

std::string volumes_json(const std::vector<std::string>& names, const config::Host& host, const IdMap& ids,
                         const std::string& state) {
  Json json = {{"volumes", Json::array()}};
  for (const std::string& name : names) json["volumes"].push_back(one_volume(name, host, ids, state));
  return print(json);
}

std::string volume_json(const std::string& name, const config::Host& host, const IdMap& ids, const std::string& state) {
  return print(one_volume(name, host, ids, state));
}

}  // namespace orlop::supervisor
