#include "guardian/ledger.hpp"

namespace orlop::guardian {

namespace {

StartSlot* find_start(State& state, std::uint64_t start) {
  for (std::uint32_t i = 0; i < state.starts_end; ++i)
    if (state.starts[i].state != StartState::free && state.starts[i].start == start) return &state.starts[i];
  return nullptr;
}

StartSlot* find_running(State& state, std::int32_t pid) {
  for (std::uint32_t i = 0; i < state.starts_end; ++i)
    if (state.starts[i].state == StartState::running && state.starts[i].pid == pid) return &state.starts[i];
  return nullptr;
}

KeptSlot* find_kept(State& state, const FdName& name) {
  for (std::uint32_t i = 0; i < state.kept_end; ++i)
    if (state.kept[i].name == name) return &state.kept[i];
  return nullptr;
}

/// @pre counts say that one is free
StartSlot& free_start(State& state) {
  std::uint32_t i = 0;
  while (i < state.starts_end && state.starts[i].state != StartState::free) ++i;
  if (i == state.starts_end) ++state.starts_end;
  return state.starts[i];
}

/// @pre `name` is kept already or counts say that a slot is free
void keep(State& state, const FdName& name, int fd, const Kernel& kernel) {
  if (KeptSlot* slot = find_kept(state, name)) {
    kernel.close_fd(slot->fd);
    slot->fd = fd;
    return;
  }
  std::uint32_t i = 0;
  while (i < state.kept_end && !state.kept[i].name.empty()) ++i;
  if (i == state.kept_end) ++state.kept_end;
  state.kept[i] = {.name = name, .fd = fd};
  ++state.counts.kept;
}

void drop(State& state, const FdName& name, const Kernel& kernel) {
  KeptSlot* slot = find_kept(state, name);
  if (slot == nullptr) return;
  kernel.close_fd(slot->fd);
  *slot = {};
  --state.counts.kept;
  while (state.kept_end > 0 && state.kept[state.kept_end - 1].name.empty()) --state.kept_end;
}

/// Only an exit that this orlopd was told can be acknowledged; anything else is a repetition, and harmless.
void acknowledge(State& state, std::uint64_t start, const Kernel& kernel) {
  StartSlot* slot = find_start(state, start);
  if (slot == nullptr || slot->state != StartState::exited || slot->told == 0) return;
  kernel.close_fd(slot->pidfd);
  *slot = {};
  --state.counts.exited;
  while (state.starts_end > 0 && state.starts[state.starts_end - 1].state == StartState::free) --state.starts_end;
}

void answer(State& state, const Report& report) {
  state.answer = report;
  state.answer_due = 1;
}

bool is_name(const FdName& name) {
  return !name.empty() && name.text[sizeof name.text - 1] == '\0';
}

/// How many descriptors belong to `request`, or -1 if it is not well-formed.
int expected_fds(const Request& request) {
  switch (request.kind) {
    case RequestKind::hello:
    case RequestKind::acknowledge:
    case RequestKind::pong:
    case RequestKind::stopping:
      return 0;
    case RequestKind::drop:
      return is_name(request.names[0]) ? 0 : -1;
    case RequestKind::keep:
      return is_name(request.names[0]) ? 1 : -1;
    case RequestKind::register_start: {
      int names = 0;
      for (const FdName& name : request.names) {
        if (name.empty()) continue;
        if (!is_name(name) || &name != &request.names[names]) return -1;
        ++names;
      }
      return request.pid > 0 ? 1 + names : -1;
    }
  }
  return -1;
}

/// Nothing if all that `request` brings has a place.
Refusal find_room(State& state, const Request& request) {
  std::size_t needed = 0;
  for (const FdName& name : request.names)
    if (!name.empty() && find_kept(state, name) == nullptr) ++needed;
  if (state.counts.kept + needed > max_kept_fds) return Refusal::no_slot;
  if (request.kind != RequestKind::register_start) return Refusal::none;
  if (find_start(state, request.start) != nullptr) return Refusal::known_start;
  return state.counts.running + state.counts.exited < max_starts ? Refusal::none : Refusal::no_slot;
}

void close_all(const Incoming& incoming, const Kernel& kernel) {
  for (std::size_t i = 0; i < incoming.fd_count; ++i) kernel.close_fd(incoming.fds[i]);
}

/// register_start and keep: all that they bring is taken, or nothing.
void take_fds(State& state, const Incoming& incoming, const Kernel& kernel) {
  const Request& request = *incoming.request;
  const bool registers = request.kind == RequestKind::register_start;
  const Refusal refusal = incoming.fds_cut ? Refusal::no_descriptor : find_room(state, request);
  if (refusal != Refusal::none) {
    close_all(incoming, kernel);
    answer(state, {.kind = ReportKind::refused,
                   .start = registers ? request.start : 0,
                   .refusal = refusal,
                   .name = registers ? FdName{} : request.names[0]});
    return;
  }
  if (registers) {
    // Nobody else reaps our children: one that lives now keeps its pid until record_exit() has seen it.
    if (find_running(state, request.pid) != nullptr || !kernel.is_living_child(incoming.fds[0])) {
      close_all(incoming, kernel);
      answer(state, {.kind = ReportKind::gone, .start = request.start});
      return;
    }
    free_start(state) = {
        .start = request.start, .state = StartState::running, .pid = request.pid, .pidfd = incoming.fds[0]};
    ++state.counts.running;
    answer(state, {.kind = ReportKind::registered, .start = request.start});
  }
  const std::size_t first = registers ? 1 : 0;
  for (std::size_t i = first; i < incoming.fd_count; ++i)
    keep(state, request.names[i - first], incoming.fds[i], kernel);
}

/// An exit not yet told on this connection, with the cursor on it.
const StartSlot* next_untold(State& state) {
  if (state.untold_exits == 0) return nullptr;
  for (std::uint32_t i = 0; i < state.starts_end; ++i, ++state.cursor) {
    if (state.cursor >= state.starts_end) state.cursor = 0;
    const StartSlot& slot = state.starts[state.cursor];
    if (slot.state == StartState::exited && slot.told == 0) return &slot;
  }
  return nullptr;
}

std::uint32_t recent_deaths(const State& state, std::uint64_t now_ns) {
  std::uint32_t recent = 0;
  for (const std::uint64_t at : state.death_at_ns)
    if (at != 0 && now_ns - at < hands_off_window_ns) ++recent;
  return recent;
}

}  // namespace

void begin(State& state) {
  state.magic = State::expected_magic;
  state.version = State::expected_version;
  state.bytes = sizeof(State);
  state.socket = -1;
}

void begin_connection(State& state, std::uint64_t now_ns) {
  state.hands_off = recent_deaths(state, now_ns) >= hands_off_deaths ? 1 : 0;
  state.phase = Phase::silent;
  state.cursor = 0;
  state.unanswered = 0;
  state.ping_due = 0;
  state.answer_due = 0;
  state.terminate_due = state.terminate_signal != 0 ? 1 : 0;
  state.untold_exits = state.counts.exited;
  for (std::uint32_t i = 0; i < state.starts_end; ++i) state.starts[i].told = 0;
}

bool take_request(State& state, const Incoming& incoming, const Kernel& kernel) {
  const Request* request = incoming.request;
  const bool whole = incoming.size == sizeof(Request) && request->version == protocol_version;
  const int expected = whole ? expected_fds(*request) : -1;
  const bool fds_fit = incoming.fds_cut ? expected > 0 && incoming.fd_count < static_cast<std::size_t>(expected)
                                        : expected >= 0 && incoming.fd_count == static_cast<std::size_t>(expected);
  // `hello` comes first, and once.
  if (!whole || !fds_fit || (request->kind == RequestKind::hello) != (state.phase == Phase::silent)) {
    close_all(incoming, kernel);
    return false;
  }
  switch (request->kind) {
    case RequestKind::hello:
      state.phase = Phase::welcome;
      break;
    case RequestKind::register_start:
    case RequestKind::keep:
      take_fds(state, incoming, kernel);
      break;
    case RequestKind::drop:
      drop(state, request->names[0], kernel);
      break;
    case RequestKind::acknowledge:
      acknowledge(state, request->start, kernel);
      break;
    case RequestKind::pong:
      state.unanswered = 0;
      break;
    case RequestKind::stopping:
      state.stopping = 1;
      break;
  }
  return true;
}

bool next_report(State& state, Report& report, int& fd) {
  report = {};
  fd = -1;
  if (state.answer_due != 0) {
    report = state.answer;
    return true;
  }
  switch (state.phase) {
    case Phase::silent:
      return false;
    case Phase::welcome:
      report.kind = ReportKind::welcome;
      report.hands_off = state.hands_off;
      report.counts = state.counts;
      return true;
    case Phase::kept:
      while (state.cursor < state.kept_end && state.kept[state.cursor].name.empty()) ++state.cursor;
      if (state.cursor < state.kept_end) {
        const KeptSlot& slot = state.kept[state.cursor];
        report.kind = ReportKind::kept;
        report.name = slot.name;
        fd = slot.fd;
        return true;
      }
      state.phase = Phase::running;
      state.cursor = 0;
      [[fallthrough]];
    case Phase::running:
      while (state.cursor < state.starts_end && state.starts[state.cursor].state != StartState::running) ++state.cursor;
      if (state.cursor < state.starts_end) {
        const StartSlot& slot = state.starts[state.cursor];
        report.kind = ReportKind::running;
        report.start = slot.start;
        report.pid = slot.pid;
        fd = slot.pidfd;
        return true;
      }
      state.phase = Phase::exits;
      [[fallthrough]];
    case Phase::exits:
    case Phase::live:
      break;
  }
  if (const StartSlot* slot = next_untold(state)) {
    report.kind = ReportKind::exited;
    report.start = slot->start;
    report.exit = slot->exit;
    return true;
  }
  if (state.phase == Phase::exits) {
    report.kind = ReportKind::replay_end;
  } else if (state.terminate_due != 0) {
    report.kind = ReportKind::terminate;
    report.signal = state.terminate_signal;
  } else if (state.ping_due != 0) {
    report.kind = ReportKind::ping;
  } else {
    return false;
  }
  return true;
}

void report_sent(State& state, const Report& report) {
  switch (report.kind) {
    case ReportKind::welcome:
      state.phase = Phase::kept;
      state.cursor = 0;
      break;
    case ReportKind::kept:
    case ReportKind::running:
      ++state.cursor;
      break;
    case ReportKind::exited:
      state.starts[state.cursor].told = 1;
      --state.untold_exits;
      break;
    case ReportKind::replay_end:
      state.phase = Phase::live;
      break;
    case ReportKind::registered:
    case ReportKind::gone:
    case ReportKind::refused:
      state.answer_due = 0;
      break;
    case ReportKind::ping:
      state.ping_due = 0;
      break;
    case ReportKind::terminate:
      state.terminate_due = 0;
      break;
  }
}

void record_exit(State& state, const Exit& exit) {
  StartSlot* slot = find_running(state, exit.pid);
  if (slot == nullptr) return;
  slot->state = StartState::exited;
  slot->told = 0;
  slot->exit = exit;
  --state.counts.running;
  ++state.counts.exited;
  ++state.untold_exits;
}

std::uint64_t record_death(State& state, std::uint64_t now_ns) {
  state.death_at_ns[state.counts.deaths++ % hands_off_deaths] = now_ns;
  const std::uint32_t recent = recent_deaths(state, now_ns);
  const std::uint64_t delay_ms = recent >= hands_off_deaths ? 1000 : 100 * (recent - 1);
  return now_ns + delay_ms * 1'000'000;
}

}  // namespace orlop::guardian
