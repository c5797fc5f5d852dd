// A container's life: its phases, and the one table of what leads from one to another. docs/life.md is this table
// (held equal by a test). A pair that is not in it does not happen: next() says so and the caller refuses by name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace orlop::core {

enum class Phase : std::uint8_t {
  gone,       ///< not there: before its first record and after its last
  pending,    ///< to be started as soon as what it waits for is there
  preparing,  ///< it has a start number, and the record of it is being written; nothing runs
  starting,   ///< the launch was ordered
  running,
  stopping,  ///< told to end; its group is killed when the grace is over
  exited,    ///< its first process has ended; its group, descriptors and log are being put away
  backoff,   ///< waits before the next start
  stopped,   ///< at rest: stopped by an operator, or done
  failed,    ///< at rest, and should not be
};
inline constexpr std::size_t phase_count = static_cast<std::size_t>(Phase::failed) + 1;

/// What happens to one container; events and the settling of wishes come down to these.
enum class Step : std::uint8_t {
  want,          ///< a host file names it for the first time
  prepare,       ///< nothing holds its start any more
  recorded,      ///< the record of its start is on disk
  not_recorded,  ///< a record could not be written; tried again
  launched,      ///< its program runs
  adopt,         ///< a new orlopd finds it running
  launch_failed,
  exit,            ///< its first process has ended
  lose,            ///< a new orlopd finds that it ended unseen or never ran
  stop,            ///< it is not to run now
  fall_ill,        ///< it is unhealthy, and is stopped for it
  ail,             ///< it is unhealthy, and the host file asks only for a report
  recover,         ///< it is healthy
  run_out,         ///< the kernel says that its memory is used up
  signal,          ///< an operator sends a signal
  kill,            ///< the grace is over
  cleanup_failed,  ///< tried again
  come_again,      ///< put away; it starts again at once
  wait,            ///< put away; it starts again after its backoff
  rest,            ///< put away; it stays down
  give_up,         ///< put away; it should run and will not be started again
  wake,            ///< the backoff is over, or an operator or a host file asks for it
  forget,          ///< it is not wanted any more
};
inline constexpr std::size_t step_count = static_cast<std::size_t>(Step::forget) + 1;

struct Transition {
  Phase from;
  Step step;
  Phase to;
};

// clang-format off
inline constexpr Transition life_table[] = {
    {Phase::gone,      Step::want,           Phase::pending},

    {Phase::pending,   Step::prepare,        Phase::preparing},
    {Phase::pending,   Step::stop,           Phase::stopped},
    {Phase::pending,   Step::forget,         Phase::gone},
    {Phase::pending,   Step::not_recorded,   Phase::pending},

    {Phase::preparing, Step::recorded,       Phase::starting},
    {Phase::preparing, Step::not_recorded,   Phase::preparing},
    {Phase::preparing, Step::stop,           Phase::exited},
    {Phase::preparing, Step::adopt,          Phase::running},
    {Phase::preparing, Step::launch_failed,  Phase::exited},
    {Phase::preparing, Step::exit,           Phase::exited},
    {Phase::preparing, Step::lose,           Phase::exited},

    {Phase::starting,  Step::launched,       Phase::running},
    {Phase::starting,  Step::adopt,          Phase::running},
    {Phase::starting,  Step::launch_failed,  Phase::exited},
    {Phase::starting,  Step::exit,           Phase::exited},
    {Phase::starting,  Step::lose,           Phase::exited},
    {Phase::starting,  Step::stop,           Phase::stopping},
    {Phase::starting,  Step::not_recorded,   Phase::starting},

    {Phase::running,   Step::exit,           Phase::exited},
    {Phase::running,   Step::lose,           Phase::exited},
    {Phase::running,   Step::stop,           Phase::stopping},
    {Phase::running,   Step::fall_ill,       Phase::stopping},
    {Phase::running,   Step::run_out,        Phase::stopping},
    {Phase::running,   Step::ail,            Phase::running},
    {Phase::running,   Step::recover,        Phase::running},
    {Phase::running,   Step::signal,         Phase::running},
    {Phase::running,   Step::adopt,          Phase::running},
    {Phase::running,   Step::not_recorded,   Phase::running},

    {Phase::stopping,  Step::exit,           Phase::exited},
    {Phase::stopping,  Step::lose,           Phase::exited},
    {Phase::stopping,  Step::launch_failed,  Phase::exited},
    {Phase::stopping,  Step::launched,       Phase::stopping},
    {Phase::stopping,  Step::signal,         Phase::stopping},
    {Phase::stopping,  Step::kill,           Phase::stopping},
    {Phase::stopping,  Step::adopt,          Phase::stopping},
    {Phase::stopping,  Step::not_recorded,   Phase::stopping},

    {Phase::exited,    Step::come_again,     Phase::pending},
    {Phase::exited,    Step::wait,           Phase::backoff},
    {Phase::exited,    Step::rest,           Phase::stopped},
    {Phase::exited,    Step::give_up,        Phase::failed},
    {Phase::exited,    Step::cleanup_failed, Phase::exited},
    {Phase::exited,    Step::not_recorded,   Phase::exited},

    {Phase::backoff,   Step::wake,           Phase::pending},
    {Phase::backoff,   Step::stop,           Phase::stopped},
    {Phase::backoff,   Step::forget,         Phase::gone},
    {Phase::backoff,   Step::not_recorded,   Phase::backoff},

    {Phase::stopped,   Step::wake,           Phase::pending},
    {Phase::stopped,   Step::forget,         Phase::gone},
    {Phase::stopped,   Step::not_recorded,   Phase::stopped},

    {Phase::failed,    Step::wake,           Phase::pending},
    {Phase::failed,    Step::stop,           Phase::stopped},
    {Phase::failed,    Step::forget,         Phase::gone},
    {Phase::failed,    Step::not_recorded,   Phase::failed},
};
// clang-format on

/// Where `step` leads from `from`; nothing: it does not happen there.
constexpr std::optional<Phase> next(Phase from, Step step) {
  for (const Transition& row : life_table)
    if (row.from == from && row.step == step) return row.to;
  return std::nullopt;
}

/// From its start number to the end of its clearing up: something of it may exist.
constexpr bool is_up(Phase phase) {
  return phase >= Phase::preparing && phase <= Phase::exited;
}

std::string_view to_string(Phase phase);
std::optional<Phase> phase_from(std::string_view name);
std::string_view to_string(Step step);
/// One line on what the step is, for docs/life.md.
std::string_view meaning(Step step);
std::string_view meaning(Phase phase);

/// What the probes of a running container say.
enum class Health : std::uint8_t {
  none,  ///< it has no health check, or does not run
  starting,
  healthy,
  unhealthy,
};
std::string_view to_string(Health health);

}  // namespace orlop::core
