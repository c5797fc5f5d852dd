#include <fmt/format.h>

#include "world.hpp"

namespace orlop::simulation {

namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

constexpr std::string_view asks[] = {"start", "stop", "restart", "kill"};

}  // namespace

std::string text(const Event& event) {
  using namespace event;
  return std::visit(
      Overloaded{
          [](const Recovered& e) {
            return fmt::format("Recovered: {} records, {} starts found{}{}", e.records.size(), e.found.size(),
                               ", era " + e.era, e.hands_off ? ", hands off" : "");
          },
          [](const Applied& e) {
            std::string all;
            for (const auto& [name, wanted] : e.wanted) all += " " + name;
            return "Applied:" + all;
          },
          [](const Asked& e) { return fmt::format("Asked: {} {}", asks[static_cast<std::size_t>(e.ask)], e.name); },
          [](const ShutdownAsked&) { return std::string("ShutdownAsked"); },
          [](const Reserved& e) { return fmt::format("Reserved {}", e.up_to); },
          [](const ReserveFailed& e) { return fmt::format("ReserveFailed {}", e.up_to); },
          [](const Persisted& e) { return fmt::format("Persisted {} #{}", e.name, e.revision); },
          [](const PersistFailed& e) { return fmt::format("PersistFailed {} #{}", e.name, e.revision); },
          [](const Launched& e) { return fmt::format("Launched {}", e.start); },
          [](const LaunchFailed& e) { return fmt::format("LaunchFailed {}", e.start); },
          [](const Exited& e) { return fmt::format("Exited {}: {}", e.start, core::text(reason_of(e.exit))); },
          [](const OomSeen& e) { return fmt::format("OomSeen {}", e.start); },
          [](const Probed& e) { return fmt::format("Probed {} #{}: {}", e.start, e.probe, e.output); },
          [](const Cleaned& e) { return fmt::format("Cleaned {}", e.start); },
          [](const CleanupFailed& e) { return fmt::format("CleanupFailed {}", e.start); },
          [](const Tick&) { return std::string("Tick"); }},
      event);
}

std::string text(const Effect& effect) {
  using namespace effect;
  return std::visit(
      Overloaded{
          [](const Announce& e) {
            return fmt::format("Announce {}/{}: {} -> {} ({}): {}", e.name, e.start, to_string(e.from), to_string(e.to),
                               to_string(e.step), core::text(e.reason));
          },
          [](const Persist& e) {
            return fmt::format("Persist {} #{}: {}, start {}{}", e.name, e.revision, to_string(e.record.phase),
                               e.record.start, e.durability == Durability::power_loss ? ", to last" : "");
          },
          [](const Forget& e) { return fmt::format("Forget {}", e.name); },
          [](const Reserve& e) { return fmt::format("Reserve {}", e.up_to); },
          [](const Launch& e) { return fmt::format("Launch {}/{}", e.name, e.start); },
          [](const Signal& e) { return fmt::format("Signal {}/{}: {}", e.name, e.start, signal_name(e.signal)); },
          [](const KillGroup& e) { return fmt::format("KillGroup {}/{}", e.name, e.start); },
          [](const Probe& e) { return fmt::format("Probe {}/{} #{}", e.name, e.start, e.probe); },
          [](const EndProbe& e) { return fmt::format("EndProbe {}/{} #{}", e.name, e.start, e.probe); },
          [](const Cleanup& e) { return fmt::format("Cleanup {}/{}", e.name, e.start); },
          [](const AckExit& e) { return fmt::format("AckExit {}", e.start); },
          [](const Refused& e) { return fmt::format("Refused: {}", e.sentence); },
          [](const WakeAt& e) {
            return e.at ? fmt::format("WakeAt {:.3f}", std::chrono::duration<double>(e.at->time_since_epoch()).count())
                        : std::string("WakeAt never");
          },
          [](const ShutdownDone&) { return std::string("ShutdownDone"); }},
      effect);
}

}  // namespace orlop::simulation
