#include "supervisor/log_pump.hpp"

namespace orlop::supervisor {

Result<std::unique_ptr<LogPump>> LogPump::open(const EventLoop& loop, BorrowedFd directory, const std::string& folder,
                                               const logs::Limits& limits, std::uint64_t start,
                                               std::array<UniqueFd, 2> pipes) {
  std::unique_ptr<LogPump> pump(new LogPump);
  for (const logs::Stream stream : logs::all_streams) {
    const auto index = static_cast<std::size_t>(stream);
    const logs::Moment now = logs::Moment::now();
    Result<logs::Spool> spool = logs::Spool::open(directory, folder, stream, limits, now);
    if (!spool) return fail(std::move(spool), "cannot open the log");
    auto lane = std::make_unique<Lane>(Lane{std::move(*spool), std::move(pipes[index]), {}, {}});
    lane->spool.begin_run(start, now);
    LogPump* self = pump.get();
    Lane* own = lane.get();
    Result<EventSource> readable = loop.io(lane->pipe, EPOLLIN, [self, own](std::uint32_t) { self->pump(*own); });
    if (!readable) return pass(std::move(readable));
    lane->readable = std::move(*readable);
    Result<EventSource> timer = loop.timer([self, own] { self->pump(*own); });
    if (!timer) return pass(std::move(timer));
    lane->timer = std::move(*timer);
    pump->lanes_[index] = std::move(lane);
  }
  return pump;
}

void LogPump::pump(Lane& lane) {
  const logs::Pumped pumped = lane.spool.pump(lane.pipe, logs::Moment::now());
  trouble_ = pumped.trouble ? sentence(*pumped.trouble) : std::string();
  switch (pumped.next) {
    case logs::Pumped::Next::readable:
    case logs::Pumped::Next::again:
      lane.readable.enable(true);
      return;  // level-triggered: more bytes call again by themselves
    case logs::Pumped::Next::at:
      lane.readable.enable(false);
      lane.timer.arm(pumped.when);
      return;
    case logs::Pumped::Next::closed:
      lane.readable.enable(false);
      return;
  }
}

void LogPump::finish() {
  for (const std::unique_ptr<Lane>& lane : lanes_) {
    if (!lane || !lane->readable) continue;
    lane->readable.reset();
    lane->timer.reset();
    const logs::Pumped pumped = lane->spool.finish(lane->pipe, logs::Moment::now());
    if (pumped.trouble) trouble_ = sentence(*pumped.trouble);
    lane->pipe.reset();
  }
}

}  // namespace orlop::supervisor
