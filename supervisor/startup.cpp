// How orlopd comes up, the first time and after each kill: what a predecessor left is taken back before anything is
// decided.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "config/parse.hpp"
#include "sandbox/launch.hpp"
#include "supervisor/privileges.hpp"
#include "supervisor/supervisor.hpp"
#include "supervisor/wanted.hpp"

namespace orlop::supervisor {
namespace {

constexpr std::string_view mount_view_name = "mntns";
constexpr std::string_view listener_name = "control";

// The directory that holds orlopd and the programs beside it.
Result<std::string> own_directory() {
  std::array<char, 4096> path;
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size <= 0) return fail_errno(errno, "readlink", "cannot find orlopd's own file");
  const std::string file(path.data(), static_cast<std::size_t>(size));
  return file.substr(0, file.rfind('/'));
}

std::optional<UniqueFd> take(std::vector<Kept>& kept, std::string_view name) {
  for (Kept& one : kept)
    if (one.name == name && one.fd) return std::move(one.fd);
  return std::nullopt;
}

// The boot and the guardian's own start time in it (proc(5), /proc/PID/stat, field 22): the guardian's life by a name.
Result<std::string> era_of_guardian() {
  Result<UniqueFd> proc = sys::open("/proc", O_RDONLY | O_DIRECTORY);
  if (!proc) return pass(std::move(proc));
  Result<std::string> boot = read_file(*proc, "sys/kernel/random/boot_id", 64);
  if (!boot) return fail(std::move(boot), "cannot read the boot's id");
  Result<std::string> stat = read_file(*proc, fmt::format("{}/stat", ::getppid()), 4096);
  if (!stat) return fail(std::move(stat), "cannot look at the guardian");
  std::string_view rest = std::string_view(*stat).substr(stat->rfind(')') + 1);  // the name before may hold anything
  for (int field = 2; field < 22 && !rest.empty(); ++field)
    rest.remove_prefix(std::min(rest.size(), rest.find(' ') + 1));
  return fmt::format("{}-{}", std::string_view(*boot).substr(0, boot->find('\n')), rest.substr(0, rest.find(' ')));
}

// The group whose members may read; none where the host has no such group. Read from the file itself: orlopd asks no
// NSS.
std::optional<gid_t> readers_group() {
  Result<UniqueFd> etc = sys::open("/etc", O_RDONLY | O_DIRECTORY);
  if (!etc) return std::nullopt;
  Result<std::string> groups = read_file(*etc, "group", std::size_t{1} << 20);
  if (!groups) return std::nullopt;
  std::string_view rest = *groups;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with("orlop:")) continue;
    line.remove_prefix(line.find(':', sizeof("orlop:") - 1) + 1);
    gid_t gid = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), gid).ec == std::errc{}) return gid;
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Supervisor>> Supervisor::create(const Options& options, UniqueFd socket) {
  std::unique_ptr<Supervisor> supervisor(new Supervisor(GuardianLink(std::move(socket))));
  Result<void> started = supervisor->start_up(options);
  if (started) return supervisor;
  // The first orlopd of a guardian that cannot come up says so and ends both: there is nothing to keep, and an operator
  // who waits for a word. A later one is tried again.
  if (supervisor->replay_.deaths == 0 && supervisor->replay_.running.empty()) (void)supervisor->link_.stopping();
  return pass(std::move(started));
}

Result<void> Supervisor::start_up(const Options& options) {
  Result<Replay> replay = link_.take_back();
  if (!replay) return fail(std::move(replay), "cannot speak with the guardian");
  replay_ = std::move(*replay);
  Result<EventLoop> loop = EventLoop::make();
  if (!loop) return pass(std::move(loop));
  loop_ = std::move(*loop);
  if (Result<void> taken = take_places(options); !taken) return taken;
  if (Result<void> ended = end_workers(); !ended)
    return fail(std::move(ended), "cannot end the workers of the orlopd before");
  if (Result<void> opened = open_rooms(); !opened) return opened;
  return recover();
}

// In the host's mount namespace as far as paths of the host are named; in orlopd's own afterwards.
Result<void> Supervisor::take_places(const Options& options) {
  places_ = places_of(options.root);
  Result<std::string> era = era_of_guardian();
  if (!era) return pass(std::move(era));
  era_ = std::move(*era);
  readers_ = readers_group();
  Result<std::string> programs = own_directory();
  if (!programs) return pass(std::move(programs));
  Result<UniqueFd> lock = lock_instance(places_, replay_.deaths > 0);
  if (!lock) return pass(std::move(lock));
  lock_ = std::move(*lock);

  Result<cgroups::Hierarchies> hierarchies = cgroups::discover();
  if (!hierarchies) return pass(std::move(hierarchies));
  Result<cgroups::Tree> tree = cgroups::Tree::make(
      *hierarchies,
      {.state_directory = places_.state, .parent = options.cgroup_parent, .own_processes = {::getpid(), ::getppid()}});
  if (!tree) return fail(std::move(tree), "cannot make orlop's cgroups");
  tree_.emplace(std::move(*tree));
  // Not before: the guardian, which has just been moved, keeps more capabilities permitted, and where cpuset is handed
  // down cgroup v2 lets only a superset of them, or CAP_SYS_NICE, move it (capabilities(7), sched_setaffinity).
  if (Result<void> dropped = drop_privileges(); !dropped) return dropped;

  Result<UniqueFd> state = sys::open(places_.state, O_RDONLY | O_DIRECTORY);
  if (!state) return pass(std::move(state));
  Result<sandbox::IdRanges> ranges = sandbox::IdRanges::open(*state, places_.state, {});
  if (!ranges) {
    note_damage(fail(std::move(ranges), "the id ranges cannot be used").error());
  } else {
    ranges_.emplace(std::move(*ranges));
    if (Result<sandbox::IdRange> claimed = ranges_->claim(id_owner_of_image_worker); !claimed)
      return pass(std::move(claimed));
    ids_ = ranges_->all();
  }

  std::optional<UniqueFd> kept = take(replay_.kept, mount_view_name);
  Result<MountView> view = kept ? MountView::enter(std::move(*kept), *programs) : MountView::make(places_, *programs);
  if (!view) return pass(std::move(view));
  mounts_.emplace(std::move(*view));
  if (Result<void> keeping = link_.keep(mount_view_name, mounts_->own()); !keeping) return keeping;
  Result<Directories> directories = Directories::open(mounts_->root(), era_);
  if (!directories) return pass(std::move(directories));
  directories_ = std::move(*directories);
  return {};
}

// A worker that an orlopd before had launched works for nobody, in a directory that the store is about to clear.
Result<void> Supervisor::end_workers() {
  Result<std::vector<cgroups::Leaf>> leaves = tree_->list();
  if (!leaves) return pass(std::move(leaves));
  for (const cgroups::Leaf& leaf : *leaves) {
    if (!is_worker(leaf.start)) continue;
    Result<cgroups::Group> group = tree_->open(leaf);
    if (!group) return pass(std::move(group));
    (void)group->kill();
    const cgroups::Watch watch = group->events_watch();
    const BootTime deadline = BootClock::now() + std::chrono::seconds(2);
    for (Result<bool> removed = group->remove(); removed && !*removed && BootClock::now() < deadline;
         removed = group->remove()) {
      pollfd empty{.fd = watch.fd.get(), .events = static_cast<short>(watch.epoll_events), .revents = 0};
      (void)::poll(&empty, 1, 100);
      (void)group->events();  // rearms the watch
    }
  }
  return {};
}

Result<void> Supervisor::open_rooms() {
  Result<std::unique_ptr<writer::WriterThread>> writer = writer::WriterThread::start();
  if (!writer) return pass(std::move(writer));
  writer_ = std::move(*writer);
  Result<EventSource> completed =
      loop_.io(writer_->completed_fd(), EPOLLIN, [this](std::uint32_t) { writer_->process_completed(); });
  if (!completed) return pass(std::move(completed));
  writer_source_ = std::move(*completed);
  Result<audit::LogFiles> files = audit::LogFiles::open(directories_.audit, directories_.state, {});
  if (files)
    audit_ = std::make_unique<audit::Writer>(std::move(*files), *writer_);
  else
    note_damage(fail(std::move(files), "the audit record cannot be used").error());
  Result<EventSource> audit = loop_.timer([this] {
    audit_->tick(BootClock::now());
    if (const auto next = audit_->next_tick()) audit_source_.arm(*next);
  });
  if (!audit) return pass(std::move(audit));
  audit_source_ = std::move(*audit);

  Result<UniqueFd> images = sys::duplicate(directories_.images);
  if (!images) return pass(std::move(images));
  Result<image::Store> store = image::Store::open(std::move(*images));
  if (!store) return fail(std::move(store), "cannot open the image store");
  store_.emplace(std::move(*store));
  images_ = std::make_unique<SealedImages>(*store_, mounts_->root());
  preparation_ = std::make_unique<Preparation>(directories_, *mounts_, *tree_, ids_, *images_);
  launcher_ = std::make_unique<Launcher>(loop_, link_);
  executor_ = std::make_unique<Executor>(loop_, link_, *launcher_, directories_, *tree_, *preparation_, *store_,
                                         [this](core::Event event) { decide(std::move(event)); });
  intake_ = std::make_unique<ImageIntake>(loop_, link_, *launcher_, *preparation_, *mounts_, ids_, *store_, *writer_);

  Result<EventSource> link = loop_.io(link_.fd(), EPOLLIN, [this](std::uint32_t) { hear_guardian(); });
  if (!link) return pass(std::move(link));
  link_source_ = std::move(*link);
  Result<EventSource> after = loop_.after([this] { mind_link(); });
  if (!after) return pass(std::move(after));
  after_source_ = std::move(*after);
  Result<EventSource> wake = loop_.timer([this] { decide(core::event::Tick{}); });
  if (!wake) return pass(std::move(wake));
  wake_source_ = std::move(*wake);
  Result<EventSource> refill = loop_.idle([this] {
    const Result<bool> more = preparation_->refill();
    if (more && *more) refill_source_.enable(true);  // without a namespace ahead a start makes its own
  });
  if (!refill) return pass(std::move(refill));
  refill_source_ = std::move(*refill);
  return {};
}

Result<void> Supervisor::recover() {
  core::event::Recovered recovered;
  recovered.era = era_;
  recovered.hands_off = replay_.hands_off;
  Result<Saved> saved = read_saved(directories_);
  if (!saved) {
    note_damage(saved.error());
    saved = Saved{};
  }
  if (!saved->host_file.empty()) {
    std::expected<config::Host, std::vector<Error>> host = config::parse(saved->host_file, saved->host_file_name);
    if (host)
      host_ = std::move(*host);
    else
      note_damage(fail(Error(host.error().front()), "the applied host file cannot be read any more").error());
  }
  executor_->set_host(host_);
  for (const auto& [name, container] : host_.containers) {
    const Result<const image::Record*> record = executor_->record_of(container.image.manifest);
    // Without its image it cannot start, and says so when it tries; its life is still known.
    recovered.wanted.emplace(name, wanted_of(container, record ? **record : image::Record{}));
  }
  recovered.records = std::move(saved->records);
  recovered.reserved = saved->reserved;
  Result<std::vector<core::event::Found>> found = adopt_running(recovered.records);
  if (!found) return pass(std::move(found));
  recovered.found = std::move(*found);
  decide(std::move(recovered));
  if (damage_.empty()) executor_->catch_up();
  return serve(take(replay_.kept, listener_name));
}

// The first is the one to tell; the others show when it has been mended.
void Supervisor::note_damage(const Error& error) {
  if (damage_.empty()) damage_ = text(error);
}

void Supervisor::adopt(const std::string& name, Running running, const std::map<std::string, core::Record>& records) {
  const core::Start start = running.start;
  Executor::Inheritance inheritance{.running = std::move(running)};
  if (std::optional<UniqueFd> pipe = take(replay_.kept, output_name(start))) inheritance.pipes[0] = std::move(*pipe);
  if (std::optional<UniqueFd> pipe = take(replay_.kept, error_name(start))) inheritance.pipes[1] = std::move(*pipe);
  if (std::optional<UniqueFd> socket = take(replay_.kept, dev_log_name(start)))
    inheritance.dev_log = std::move(*socket);
  if (const auto record = records.find(name); record != records.end() && record->second.start == start)
    inheritance.digest = record->second.launched.digest;
  if (Result<void> adopted = executor_->adopt(name, std::move(inheritance)); !adopted)
    fmt::print(stderr, "orlopd: container '{}' goes on, but not whole: {}\n", name, sentence(adopted.error()));
}

// Every start that the guardian knows, with what became of it. Its cgroup says whose it is, whatever the records say.
Result<std::vector<core::event::Found>> Supervisor::adopt_running(const std::map<std::string, core::Record>& records) {
  Result<std::vector<cgroups::Leaf>> leaves = tree_->list();
  if (!leaves) return pass(std::move(leaves));
  std::map<core::Start, std::string> names;
  for (const cgroups::Leaf& leaf : *leaves) names.emplace(leaf.start, leaf.name);

  std::vector<core::event::Found> found;
  for (Running& running : replay_.running) {
    const core::Start start = running.start;
    if (is_worker(start)) continue;  // ended by end_workers(); its exit is on its way
    core::event::Found one{.start = start, .what = core::event::Alive{}};
    // A gate that closed with the orlopd before says so here, and so does a start that failed.
    if (const std::optional<UniqueFd> report = take(replay_.kept, Launcher::report_name(start))) {
      const Result<std::optional<sandbox::StepFailure>> failure = sandbox::read_report(*report);
      if (failure && *failure && (*failure)->op == static_cast<std::uint32_t>(sandbox::Op::await_gate))
        one.what = core::event::NeverRan{};
      else if (failure && *failure)
        one.what = core::event::LaunchFailed{start, text(sandbox::explain(**failure, nullptr))};
      (void)link_.drop(Launcher::report_name(start));
    }
    if (const auto name = names.find(start); name != names.end()) adopt(name->second, std::move(running), records);
    found.push_back(std::move(one));
  }
  for (const Exited& exited : replay_.exits) {
    if (is_worker(exited.start)) {
      intake_->exited(exited);
      continue;
    }
    // What it wrote last may still be in its pipes, and its group says whether memory ran out.
    if (const auto name = names.find(exited.start); name != names.end())
      adopt(name->second, {.start = exited.start, .pid = exited.pid, .pidfd = {}}, records);
    found.push_back({.start = exited.start, .what = executor_->explain(exited)});
  }
  return found;
}

Result<void> Supervisor::serve(std::optional<UniqueFd> listener) {
  if (!listener) {
    Result<UniqueFd> made = control::make_listener(directories_.run, control_socket_name, readers_);
    if (!made) return fail(std::move(made), "cannot open the control socket");
    listener = std::move(*made);
    if (Result<void> kept = link_.keep(listener_name, *listener); !kept) return kept;
  }
  Result<std::unique_ptr<control::Server>> server =
      control::Server::create(loop_.get(), std::move(*listener), {.owner = ::geteuid(), .readers = readers_}, *this);
  if (!server) return pass(std::move(server));
  server_ = std::move(*server);
  replay_ = {};
  settle();
  return {};
}

}  // namespace orlop::supervisor
