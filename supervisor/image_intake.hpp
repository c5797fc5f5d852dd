// One intake at a time: a jailed orlop-image parses what the client passed, and the store adopts what it sealed.
//
// The worker's start number has its highest bit set: the guardian's ledger then holds no number that a container could
// have, and a successor of a killed orlopd knows such a start for what it is: something to clear away.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "image/store.hpp"
#include "supervisor/control/service.hpp"
#include "supervisor/event_loop.hpp"
#include "supervisor/guardian_link.hpp"
#include "supervisor/id_map.hpp"
#include "supervisor/launcher.hpp"
#include "supervisor/preparation.hpp"
#include "supervisor/writer/writer_thread.hpp"

namespace orlop::supervisor {

inline constexpr core::Start worker_bit = core::Start{1} << 63;
inline bool is_worker(core::Start start) {
  return (start & worker_bit) != 0;
}

class ImageIntake {
 public:
  /// Intakes that may wait for the one that runs.
  static constexpr std::size_t max_waiting = 8;

  /// All references are borrowed for the object's life; `store` for the life of `writer`, whose jobs use it.
  ImageIntake(const EventLoop& loop, GuardianLink& link, Launcher& launcher, Preparation& preparation,
              const MountView& view, const IdMap& ids, image::Store& store, writer::WriterThread& writer);
  ~ImageIntake();

  /// Runs the intake when its turn comes; answers with the image's record as JSON.
  void import(control::ImportRequest request, control::Reply<std::string> reply);
  /// The guardian's word that a worker has ended.
  void exited(const Exited& exited);
  /// Ends what runs; the replies that wait are answered.
  void stop();

 private:
  struct Running;
  struct Waiting {
    control::ImportRequest request;
    control::Reply<std::string> reply;
  };
  void begin_next();
  void begin(Waiting waiting);
  [[nodiscard]] bool is_running(core::Start start) const;
  Result<void> launch(Running& running);
  /// Whether it read anything.
  bool read_output();
  void group_changed();
  void adopt();
  void finish(Result<std::string> answer);
  void abandon(image::Intake intake);

  const EventLoop& loop_;
  GuardianLink& link_;
  Launcher& launcher_;
  Preparation& preparation_;
  const MountView& view_;
  const IdMap& ids_;
  image::Store& store_;
  writer::WriterThread& writer_;
  core::Start last_start_ = 0;
  std::unique_ptr<Running> running_;
  std::deque<Waiting> waiting_;
};

}  // namespace orlop::supervisor
