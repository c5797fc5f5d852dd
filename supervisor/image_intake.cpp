#include "supervisor/image_intake.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "image/reference.hpp"
#include "image/worker_line.hpp"

namespace orlop::supervisor {
namespace {

// What sealing owners, setgid bits and file capabilities takes (docs/images.md); of the worker's own user namespace
// alone.
constexpr std::uint64_t worker_capabilities =
    1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID | 1ULL << CAP_SETFCAP;
constexpr Bytes worker_memory = 256_MiB;
constexpr Duration worker_deadline = std::chrono::minutes(30);

// The name of what the client opened, as a suggestion for an image that names itself nowhere.
std::string suggested_name(BorrowedFd source) {
  std::array<char, 4096> path;
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", source.get()).c_str(), path.data(), path.size());
  if (size <= 0) return {};
  std::string name(path.data(), static_cast<std::size_t>(size));
  name.erase(0, name.rfind('/') + 1);
  for (const std::string_view ending : {".gz", ".zst", ".tar", ".oci"})
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  return image::is_valid_image_name(name) ? name : std::string();
}

}  // namespace

struct ImageIntake::Running {
  core::Start start = 0;
  control::ImportRequest request;
  control::Reply<std::string> reply;
  image::Intake intake = {};
  std::unique_ptr<cgroups::Group> group = {};
  UniqueFd output = {};
  UniqueFd error = {};
  EventSource output_readable = {};
  EventSource group_events = {};
  EventSource deadline = {};
  std::string line = {};
  std::optional<image::WorkerLine> verdict = {};
  std::string complaint = {};  ///< why it is ended early
  bool ended = false;
};

ImageIntake::ImageIntake(const EventLoop& loop, GuardianLink& link, Launcher& launcher, Preparation& preparation,
                         const MountView& view, const IdMap& ids, image::Store& store, writer::WriterThread& writer)
    : loop_(loop),
      link_(link),
      launcher_(launcher),
      preparation_(preparation),
      view_(view),
      ids_(ids),
      store_(store),
      writer_(writer),
      last_start_(worker_bit | static_cast<core::Start>(BootClock::now().time_since_epoch().count())) {}

ImageIntake::~ImageIntake() = default;

void ImageIntake::import(control::ImportRequest request, control::Reply<std::string> reply) {
  if (waiting_.size() >= max_waiting)
    return reply.answer(fail(ErrorKind::limit, "too many images wait to be imported", "wait for them"));
  waiting_.push_back({std::move(request), std::move(reply)});
  begin_next();
}

void ImageIntake::begin_next() {
  if (running_ || waiting_.empty()) return;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  begin(std::move(next));
}

bool ImageIntake::is_running(core::Start start) const {
  return running_ && running_->start == start;
}

void ImageIntake::begin(Waiting waiting) {
  running_ = std::make_unique<Running>(
      Running{.start = ++last_start_, .request = std::move(waiting.request), .reply = std::move(waiting.reply)});
  if (Result<void> launched = launch(*running_); !launched) finish(pass(std::move(launched)));
}

Result<void> ImageIntake::launch(Running& running) {
  const auto ids = ids_.find(id_owner_of_image_worker);
  if (ids == ids_.end()) return fail(ErrorKind::internal, "image workers have no id range");
  Result<image::Intake> intake = store_.begin(ids->second.first, ids->second.first);
  if (!intake) return pass(std::move(intake));
  running.intake = std::move(*intake);

  WorkerRequest worker{.name = "image-import",
                       .argv = {"/orlop-image", "--out", "/out"},
                       .capabilities = worker_capabilities,
                       .memory = worker_memory,
                       .ids = ids->second};
  const control::ImportRequest& request = running.request;
  if (request.kind == control::ImageSource::archive) {
    worker.argv.insert(worker.argv.end(), {"--archive-fd", "3"});
    Result<UniqueFd> source = sys::duplicate(request.source);
    if (!source) return pass(std::move(source));
    worker.inherited.push_back(std::move(*source));
  } else {
    worker.argv.insert(worker.argv.end(), {"--layout", "/in"});
    Result<UniqueFd> source = clone_host_mount(view_.host(), "", request.source.get());
    if (!source) return pass(std::move(source));
    // Files of the layout are root's, or any user's: shown as the worker's own, so that its DAC_OVERRIDE reaches them.
    // A file system that cannot do that serves what all may read.
    if (Result<UniqueFd> idmap = sandbox::make_userns(ids->second); idmap)
      (void)sys::set_mount_attributes(*source, 0, 0, false, idmap->get());
    worker.mounts.push_back({"/in", std::move(*source)});
  }
  Result<UniqueFd> out = sys::clone_mount(running.intake.directory, "", false);
  if (!out) return pass(std::move(out));
  worker.mounts.push_back({"/out", std::move(*out)});
  for (const auto& [option, value] : {std::pair{"--name", request.name}, std::pair{"--reference", request.reference},
                                      std::pair{"--fallback-name", suggested_name(request.source)}})
    if (!value.empty()) worker.argv.insert(worker.argv.end(), {option, value});
  for (const std::string& directory : request.mkdir) worker.argv.insert(worker.argv.end(), {"--mkdir", directory});

  Result<Prepared> prepared = preparation_.worker(std::move(worker), running.start);
  if (!prepared) return pass(std::move(prepared));
  running.group = std::move(prepared->group);
  running.output = std::move(prepared->output);
  running.error = std::move(prepared->error);
  Result<EventSource> readable = loop_.io(running.output, EPOLLIN, [this](std::uint32_t) { (void)read_output(); });
  if (!readable) return pass(std::move(readable));
  running.output_readable = std::move(*readable);
  const cgroups::Watch events = running.group->events_watch();
  Result<EventSource> group = loop_.io(events.fd, events.epoll_events, [this](std::uint32_t) { group_changed(); });
  if (!group) return pass(std::move(group));
  running.group_events = std::move(*group);
  Result<EventSource> deadline = loop_.timer([this] {
    running_->complaint = "it took longer than 30 minutes";
    (void)running_->group->kill();  // its exit follows
  });
  if (!deadline) return pass(std::move(deadline));
  running.deadline = std::move(*deadline);
  running.deadline.arm(BootClock::now() + worker_deadline);
  Result<Launcher::Begun> begun = launcher_.begin(running.start, std::move(prepared->plan), {},
                                                  [this, start = running.start](const Result<void>& result) {
                                                    if (result || !is_running(start)) return;
                                                    running_->complaint = text(result.error());
                                                    (void)running_->group->kill();
                                                  });
  if (!begun) return pass(std::move(begun));
  return {};
}

bool ImageIntake::read_output() {
  Running& running = *running_;
  std::array<char, 4096> bytes;
  ssize_t count = 0;
  do count = ::read(running.output.get(), bytes.data(), bytes.size());
  while (count < 0 && errno == EINTR);
  if (count < 0 && errno == EAGAIN) return false;
  if (count <= 0) {
    running.output_readable.reset();
    return false;
  }
  running.line.append(bytes.data(), static_cast<std::size_t>(count));
  for (std::size_t end = 0; (end = running.line.find('\n')) != std::string::npos; running.line.erase(0, end + 1)) {
    Result<image::WorkerLine> line = image::parse_worker_line(std::string_view(running.line).substr(0, end));
    if (!line) {
      running.complaint = "it does not speak as orlop-image does";
      (void)running.group->kill();
      running.output_readable.reset();
      return true;
    }
    if (line->kind != image::WorkerLine::Kind::progress)
      running.verdict = std::move(*line);
    else if (running.request.progress)
      (void)write_all(running.request.progress,
                      line->message + "\n");  // a client that does not read its progress loses it
  }
  if (running.line.size() > image::max_worker_line_bytes) {
    running.complaint = "it writes lines without end";
    (void)running.group->kill();
    running.output_readable.reset();
  }
  return true;
}

void ImageIntake::exited(const Exited& exited) {
  (void)link_.acknowledge(exited.start);  // nothing of a worker is worth a record
  (void)link_.drop(Launcher::report_name(exited.start));
  if (!is_running(exited.start)) return;
  running_->ended = true;
  if (running_->complaint.empty() && exited.code != CLD_EXITED) {
    const Result<cgroups::Usage> usage = running_->group->usage();
    running_->complaint = usage && usage->oom_kills > 0
                              ? fmt::format("it needed more than {} of memory", format_bytes(worker_memory))
                              : fmt::format("it was ended by signal {}", exited.status);
  }
  (void)running_->group->kill();  // what it left behind must be gone before its directory is taken over
  group_changed();
}

void ImageIntake::group_changed() {
  if (!running_) return;
  const Result<cgroups::Group::Events> events = running_->group->events();
  if (!running_->ended || (events && events->populated)) return;
  // Nobody is left to write: what the pipe holds is all there is, and a line at its end may be the verdict.
  while (running_->output_readable && read_output()) continue;
  if (const Result<bool> removed = running_->group->remove(); removed && !*removed) return;
  running_->group_events.reset();
  running_->output_readable.reset();
  running_->deadline.reset();
  adopt();
}

void ImageIntake::adopt() {
  Running& running = *running_;
  if (!running.complaint.empty())
    return finish(fail(ErrorKind::corrupt, "the image could not be taken in: " + running.complaint));
  if (!running.verdict)
    return finish(fail(ErrorKind::corrupt, "the image could not be taken in: orlop-image ended without a word"));
  if (running.verdict->kind == image::WorkerLine::Kind::failed)
    return finish(fail(running.verdict->error_kind, running.verdict->message, running.verdict->remedy));
  struct Adopted {
    image::Intake intake;
    std::string record;
  };
  auto adopted = std::make_shared<Adopted>(Adopted{std::move(running.intake), {}});
  running.intake = {};
  // Only who asks for other directories than an earlier import had means another seal of the same image.
  const image::Replace replace = running.request.mkdir.empty() ? image::Replace::refused : image::Replace::allowed;
  const Result<void> submitted = writer_.submit(
      [&store = store_, adopted, replace]() -> Result<void> {
        Result<image::Record> record = store.adopt(std::move(adopted->intake), replace);
        if (!record) return pass(std::move(record));
        adopted->record = image::to_json(*record);
        return {};
      },
      [this, adopted, start = running.start](Result<void> result) {
        if (!is_running(start)) return;
        if (result)
          finish(adopted->record);
        else
          finish(pass(std::move(result)));
      });
  if (!submitted) finish(std::unexpected(submitted.error()));
}

void ImageIntake::finish(Result<std::string> answer) {
  std::unique_ptr<Running> running = std::move(running_);
  if (!running) return;
  if (running->group && !running->ended) {
    (void)running->group->kill();
    (void)running->group->remove();  // what stays is swept when orlopd next starts
  }
  if (running->intake.directory) abandon(std::move(running->intake));
  running->reply.answer(std::move(answer));
  begin_next();
}

// A worker may leave a million files. What cannot be removed is removed when orlopd next starts.
void ImageIntake::abandon(image::Intake intake) {
  const auto left = std::make_shared<image::Intake>(std::move(intake));
  (void)writer_.submit([&store = store_, left] { return store.abandon(std::move(*left)); }, {});
}

void ImageIntake::stop() {
  waiting_.clear();
  if (running_ && running_->group) (void)running_->group->kill();
}

}  // namespace orlop::supervisor
