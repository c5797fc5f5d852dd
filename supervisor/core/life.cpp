#include "supervisor/core/life.hpp"

#include "supervisor/core/state.hpp"

namespace orlop::core {

namespace {

struct PhaseWord {
  Phase phase;
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array<PhaseWord, phase_count> phase_words{{
    {Phase::gone, "gone", "not there: before its first record and after its last"},
    {Phase::pending, "pending", "starts as soon as what it waits for is there"},
    {Phase::preparing, "preparing", "has a start number, and the record of it is being written; nothing runs"},
    {Phase::starting, "starting", "the launch is under way"},
    {Phase::running, "running", "its program runs; health is none, starting, healthy or unhealthy"},
    {Phase::stopping, "stopping", "told to end; its group is killed when the grace is over"},
    {Phase::exited, "exited", "its first process has ended; what is left of it is being put away"},
    {Phase::backoff, "backoff", "waits before the next start"},
    {Phase::stopped, "stopped", "at rest: stopped by an operator, or done"},
    {Phase::failed, "failed", "at rest, and should not be"},
}};

struct StepWord {
  Step step;
  std::string_view name;
  std::string_view meaning;
};
constexpr std::array<StepWord, step_count> step_words{{
    {Step::want, "want", "a host file names it for the first time"},
    {Step::prepare, "prepare", "nothing holds its start any more"},
    {Step::recorded, "recorded", "the record of its start is on disk"},
    {Step::not_recorded, "not recorded", "a record cannot be written; it is tried again every second"},
    {Step::launched, "launched", "its program runs"},
    {Step::adopt, "adopt", "a new orlopd finds it alive"},
    {Step::launch_failed, "launch failed", "the launch came to nothing"},
    {Step::exit, "exit", "its first process has ended"},
    {Step::lose, "lose", "a new orlopd finds that it ended unseen or never ran"},
    {Step::stop, "stop", "it is not to run now"},
    {Step::fall_ill, "fall ill", "its health check failed too often, and it is stopped for it"},
    {Step::ail, "ail", "its health check failed too often, and the host file asks only for a report"},
    {Step::recover, "recover", "its health check succeeds, for the first time or again"},
    {Step::run_out, "run out", "the kernel killed inside it for memory"},
    {Step::signal, "signal", "an operator sends a signal"},
    {Step::kill, "kill", "the grace is over: the whole group is killed"},
    {Step::cleanup_failed, "cleanup failed", "something of it cannot be put away; it is tried again every second"},
    {Step::come_again, "come again", "put away; nobody found fault with it, or it is wanted afresh"},
    {Step::wait, "wait", "put away; its policy restarts it"},
    {Step::rest, "rest", "put away; it is not to run"},
    {Step::give_up, "give up", "put away; its policy or its limit forbids another start"},
    {Step::wake, "wake", "the backoff is over, or an operator or a host file asks for it"},
    {Step::forget, "forget", "no host file names it any more"},
}};

constexpr std::array<std::string_view, 4> health_names{"none", "starting", "healthy", "unhealthy"};

template <class Words>
constexpr bool in_order(const Words& words, auto member) {
  for (std::size_t i = 0; i < words.size(); ++i)
    if (static_cast<std::size_t>(words[i].*member) != i) return false;
  return true;
}
static_assert(in_order(phase_words, &PhaseWord::phase) && in_order(step_words, &StepWord::step));

const PhaseWord& word(Phase phase) {
  return phase_words[static_cast<std::size_t>(phase)];
}
const StepWord& word(Step step) {
  return step_words[static_cast<std::size_t>(step)];
}

}  // namespace

std::string_view to_string(Phase phase) {
  return word(phase).name;
}

std::optional<Phase> phase_from(std::string_view name) {
  for (const PhaseWord& row : phase_words)
    if (row.name == name) return row.phase;
  return std::nullopt;
}

std::string_view meaning(Phase phase) {
  return word(phase).meaning;
}

std::string_view to_string(Step step) {
  return word(step).name;
}

std::string_view meaning(Step step) {
  return word(step).meaning;
}

std::string_view to_string(Health health) {
  return health_names[static_cast<std::size_t>(health)];
}

std::string_view to_string(Wish wish) {
  return wish == Wish::run ? "run" : "stop";
}

bool is_ready(const Container& container) {
  if (!container.wanted || container.record.wish != Wish::run) return false;
  if (container.wanted->run != Run::always) return container.record.phase == Phase::stopped && container.record.done;
  return container.record.phase == Phase::running &&
         (!container.record.launched.health || container.health == Health::healthy);
}

}  // namespace orlop::core
