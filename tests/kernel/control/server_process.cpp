#include "tests/kernel/control/server_process.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace orlop::control {
namespace {

class SmallSupervisor final : public Service {
 public:
  void set_server(Server* server) { server_ = server; }

  void apply(const Peer& /*peer*/, ApplyRequest request, Reply<std::string> reply) override {
    std::string bytes(4096, '\0');
    const ssize_t size = ::pread(request.file.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return reply.answer(fail_errno(errno, "pread", "cannot read the host file"));
    bytes.resize(static_cast<std::size_t>(size));
    if (!request.dry_run) become(bytes);
    reply.answer(fmt::format("{} {}", request.file_name, request.dry_run));
  }
  void import_image(const Peer& /*peer*/, ImportRequest request, Reply<std::string> reply) override {
    if (request.progress) (void)!::write(request.progress.get(), "one\ntwo\n", 8);
    reply.answer(fmt::format("{} {} {} {}", request.kind == ImageSource::layout ? "layout" : "archive", request.name,
                             request.reference, request.mkdir.size()));
  }
  void list_images(const Peer& /*peer*/, Reply<std::string> reply) override { reply.answer("[]"); }
  void inspect_image(const Peer& /*peer*/, std::string image, Reply<std::string> reply) override {
    reply.answer(fail(ErrorKind::not_found, fmt::format("there is no image '{}'", image), "import it"));
  }
  void remove_image(const Peer& /*peer*/, std::string /*image*/, Reply<void> reply) override { reply.answer({}); }
  void list_volumes(const Peer& /*peer*/, Reply<std::string> reply) override { reply.answer("[]"); }
  void inspect_volume(const Peer& /*peer*/, std::string volume, Reply<std::string> reply) override {
    reply.answer(std::move(volume));
  }
  void remove_volume(const Peer& /*peer*/, std::string /*volume*/, Reply<void> reply) override { reply.answer({}); }
  void status(const Peer& peer, Reply<std::string> reply) override {
    const Counters& counters = server_->counters();
    std::string text = fmt::format(
        "accepted={} without_role={} without_place={} malformed={} late={} slow={} connections={} executable={}\n",
        counters.accepted, counters.without_role, counters.without_place, counters.malformed, counters.late,
        counters.slow, server_->connections(), peer.executable);
    for (const std::string& refusal : refused_) text += refusal + "\n";
    reply.answer(std::move(text));
  }
  void effective(const Peer& /*peer*/, Reply<std::string> reply) override { reply.answer(std::string(900'000, 'x')); }
  void audit_files(const Peer& /*peer*/, Reply<Files> reply) override { reply.answer(files(2)); }
  void shutdown(const Peer& /*peer*/, Reply<void> reply) override { reply.answer({}); }

  void start(const Peer& /*peer*/, std::string container, Reply<void> reply) override {
    containers_.at(container).state = "running";
    server_->container_changed(container);
    reply.answer({});
  }
  void stop(const Peer& /*peer*/, std::string /*container*/, Reply<void> reply) override {
    stops_.push_back(std::move(reply));
  }
  void restart(const Peer& /*peer*/, std::string /*container*/, Reply<void> /*reply*/) override {}
  void kill(const Peer& /*peer*/, std::string /*container*/, std::string signal, Reply<void> reply) override {
    for (Reply<void>& stop : std::exchange(stops_, {})) stop.answer({});
    for (Reply<Exit>& wait : std::exchange(waits_, {})) wait.answer(Exit{137, "killed by " + signal});
    reply.answer({});
  }
  void wait(const Peer& /*peer*/, std::string /*container*/, Reply<Exit> reply) override {
    std::erase_if(waits_, [](const Reply<Exit>& each) { return !each.is_awaited(); });
    waits_.push_back(std::move(reply));
  }
  void inspect(const Peer& /*peer*/, std::string container, Reply<std::string> reply) override {
    reply.answer(containers_.at(container).state);
  }
  void plan(const Peer& /*peer*/, std::string /*container*/, Reply<std::string> reply) override {
    reply.answer("not UTF-8: \xff");
  }
  void log_files(const Peer& /*peer*/, std::string /*container*/, Reply<Files> reply) override {
    reply.answer(files(max_reply_fds));
  }

  [[nodiscard]] SupervisorView view() const override { return {"0", "host", "running", {{"site", "here"}}}; }
  [[nodiscard]] std::vector<std::string> containers() const override {
    std::vector<std::string> names;
    for (const auto& [name, view] : containers_) names.push_back(name);
    return names;
  }
  [[nodiscard]] std::optional<ContainerView> find(std::string_view container) const override {
    const auto found = containers_.find(std::string(container));
    return found == containers_.end() ? std::optional<ContainerView>() : found->second;
  }
  void refused(const Peer& peer, const std::string& what) override {
    refused_.push_back(fmt::format("{} {}", peer.uid, what));
  }

 private:
  void become(const std::string& names) {
    std::map<std::string, ContainerView> next;
    std::istringstream lines(names);
    for (std::string name; std::getline(lines, name);) next[name] = {.name = name, .state = "pending"};
    const std::map<std::string, ContainerView> before = std::exchange(containers_, next);
    for (const auto& [name, view] : before)
      if (!next.contains(name)) server_->container_removed(name);
    for (const auto& [name, view] : next)
      if (!before.contains(name)) server_->container_added(name);
  }

  static Files files(std::size_t count) {
    Files files{.json = "[]"};
    for (std::size_t i = 0; i < count; ++i) {
      files.files.push_back(sys::memfd("log").value());
      (void)write_all(files.files.back(), fmt::format("file {}", i));
    }
    return files;
  }

  Server* server_ = nullptr;
  std::map<std::string, ContainerView> containers_ = {{"a-b", {.name = "a-b", .state = "exited"}},
                                                      {"web", {.name = "web", .state = "pending"}}};
  std::vector<Reply<void>> stops_;
  std::vector<Reply<Exit>> waits_;
  std::vector<std::string> refused_;
};

int serve(UniqueFd listener, const Limits& limits) {
  sd_event* loop = nullptr;
  if (sd_event_new(&loop) < 0) return 1;
  SmallSupervisor supervisor;
  const auto server =
      Server::create(loop, std::move(listener), {.readers = readers_group, .limits = limits}, supervisor);
  if (!server) return 1;
  supervisor.set_server(server->get());
  return sd_event_loop(loop);
}

}  // namespace

ServerProcess::ServerProcess(const Limits& limits)
    : listener_(make_listener(directory_.fd(), "control.sock", readers_group).value()) {
  REQUIRE(::chmod(directory_.path().c_str(), 0755) == 0);
  run(limits);
}

ServerProcess::ServerProcess(const Limits& limits, UniqueFd listener) : listener_(std::move(listener)) {
  run(limits);
}

void ServerProcess::run(const Limits& limits) {
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::_exit(serve(std::move(listener_), limits));
}

UniqueFd ServerProcess::listener() const {
  return sys::duplicate(listener_).value();
}

void ServerProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::size_t ServerProcess::open_fds() const {
  const std::filesystem::directory_iterator fds(fmt::format("/proc/{}/fd", pid_));
  return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

std::size_t ServerProcess::lowest_free_fd() const {
  std::size_t fd = 0;
  while (std::filesystem::is_symlink(fmt::format("/proc/{}/fd/{}", pid_, fd))) ++fd;
  return fd;
}

std::size_t ServerProcess::resident_bytes() const {
  std::size_t size = 0;
  std::size_t resident = 0;
  std::ifstream(fmt::format("/proc/{}/statm", pid_)) >> size >> resident;
  return resident * 4096;
}

std::uint64_t ServerProcess::counter(std::string_view name) const {
  const std::string status = client().status().value();
  const std::string key = fmt::format("{}=", name);
  return std::stoull(status.substr(status.find(key) + key.size()));
}

AsUser::AsUser(uid_t uid, gid_t gid, const std::vector<gid_t>& groups)
    : groups_(static_cast<std::size_t>(::getgroups(0, nullptr))) {
  REQUIRE(::getgroups(static_cast<int>(groups_.size()), groups_.data()) >= 0);
  REQUIRE(::setgroups(groups.size(), groups.data()) == 0);
  REQUIRE(::setegid(gid) == 0);
  REQUIRE(::seteuid(uid) == 0);
}

AsUser::~AsUser() {
  if (::seteuid(0) != 0 || ::setegid(0) != 0 || ::setgroups(groups_.size(), groups_.data()) != 0) std::abort();
}

}  // namespace orlop::control
