#include "supervisor/wanted.hpp"

#include "config/effective.hpp"
#include "config/resolve.hpp"

namespace orlop::supervisor {
namespace {

core::Policy policy_of(config::RestartPolicy policy) {
  switch (policy) {
    case config::RestartPolicy::always:
      return core::Policy::always;
    case config::RestartPolicy::on_failure:
      return core::Policy::on_failure;
    case config::RestartPolicy::unless_stopped:
      return core::Policy::unless_stopped;
    case config::RestartPolicy::no:
      return core::Policy::no;
  }
  return core::Policy::no;
}

core::Run run_of(config::Run run) {
  switch (run) {
    case config::Run::always:
      return core::Run::always;
    case config::Run::on_boot:
      return core::Run::on_boot;
    case config::Run::once:
      return core::Run::once;
  }
  return core::Run::always;
}

}  // namespace

core::Wanted wanted_of(const config::Container& container, const image::Record& record) {
  core::Wanted wanted;
  wanted.digest = config::digest(container);
  wanted.after = container.after;
  wanted.requirements = container.requirements;
  wanted.restart = {.policy = policy_of(container.restart.policy),
                    .backoff_min = container.restart.backoff_min,
                    .backoff_max = container.restart.backoff_max,
                    .limit = static_cast<std::uint32_t>(container.restart.limit),
                    .window = container.restart.window};
  wanted.stop = {.signal = config::stop_signal(container, record), .grace = container.stop.grace};
  if (const std::optional<config::Health> health = config::health_check(container, record))
    wanted.health = core::HealthCheck{.interval = health->interval,
                                      .timeout = health->timeout,
                                      .retries = static_cast<std::uint32_t>(health->retries),
                                      .start_period = health->start_period};
  wanted.run = run_of(container.run);
  return wanted;
}

}  // namespace orlop::supervisor
