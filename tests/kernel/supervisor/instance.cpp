#include "tests/kernel/supervisor/instance.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "supervisor/logs/reader.hpp"

namespace orlop {
namespace {

// Conditions of another process have no event to wait for but the next look.
void pause_briefly() {
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

std::string run_and_read(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string output;
  char buffer[512];
  while (std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, count);
  if (::pclose(pipe) != 0) FAIL("failed: " << command);
  return output;
}

}  // namespace

Instance::Instance(Options options) {
  if (options.root.empty()) options.root = directory_.emplace().path();
  root_ = options.root;
  std::vector<std::string> words = {ORLOP_PROGRAMS "/orlop-init"};
  words.insert(words.end(), options.guardian.begin(), options.guardian.end());
  words.insert(words.end(), {"--root", root_});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  if (::posix_spawn(&guardian_, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0)
    FAIL("cannot start orlop-init");
  (void)client();
}

Instance::~Instance() {
  shut_down();
}

void Instance::shut_down() {
  if (Result<control::Client> connected = control::Client::connect(root_ + "/run/control.sock"); connected)
    (void)connected->shutdown();
  const BootTime deadline = BootClock::now() + std::chrono::seconds(30);
  while (::waitpid(guardian_, nullptr, WNOHANG) == 0) {
    if (BootClock::now() > deadline) {
      (void)::kill(guardian_, SIGKILL);
      (void)::waitpid(guardian_, nullptr, 0);
      break;
    }
    pause_briefly();
  }
}

control::Client Instance::client() const {
  const BootTime deadline = BootClock::now() + std::chrono::seconds(10);
  for (;;) {
    Result<control::Client> connected = control::Client::connect(root() + "/run/control.sock");
    if (connected)
      if (connected->status()) return std::move(*connected);
    if (BootClock::now() > deadline) FAIL("no supervisor answers: " << (connected ? "" : text(connected.error())));
    pause_briefly();
  }
}

const std::string& Instance::busybox() {
  if (busybox_.empty()) busybox_ = need(import_busybox({}));
  return busybox_;
}

Result<std::string> Instance::import_busybox(const std::vector<std::string>& mkdir) {
  const TemporaryDirectory layout;
  (void)run_and_read(fmt::format("{}/tests/images/busybox-layout {}/oci", ORLOP_SOURCE, layout.path()));
  const UniqueFd source = need(sys::open(layout.path() + "/oci", O_RDONLY | O_DIRECTORY));
  const Result<std::string> record =
      client().import_image(source, control::ImageSource::layout, {.name = "busybox", .mkdir = mkdir});
  if (!record) return record;
  return "busybox@sha256:" + nlohmann::json::parse(*record).at("manifest").get<std::string>();
}

Result<std::string> Instance::apply(std::string toml, bool dry_run) {
  for (std::size_t at = 0; (at = toml.find("BUSYBOX")) != std::string::npos;) toml.replace(at, 7, busybox());
  const UniqueFd file = need(sys::memfd("host.toml"));
  need(write_all(file, toml));
  return client().apply(file, "host.toml", dry_run);
}

std::string Instance::refusal(std::string toml, bool dry_run) {
  const Result<std::string> plan = apply(std::move(toml), dry_run);
  if (plan) FAIL("not refused: " << *plan);
  return text(plan.error());
}

nlohmann::json Instance::status() const {
  return nlohmann::json::parse(need(client().status()));
}

nlohmann::json Instance::inspect(const std::string& container) const {
  return nlohmann::json::parse(need(client().inspect(container)));
}

nlohmann::json Instance::await(const std::string& container, const std::string& state, Duration timeout) const {
  return await(container, [&](const nlohmann::json& seen) { return seen.at("state") == state; }, state, timeout);
}

nlohmann::json Instance::await(const std::string& container,
                               const std::function<bool(const nlohmann::json&)>& condition, const std::string& what,
                               Duration timeout) const {
  const BootTime deadline = BootClock::now() + timeout;
  for (;;) {
    nlohmann::json seen = inspect(container);
    if (condition(seen)) return seen;
    seen.erase("seccomp");
    if (BootClock::now() > deadline) FAIL(container << " did not come to: " << what << "\n" << seen.dump(2));
    pause_briefly();
  }
}

std::string Instance::log(const std::string& container, std::optional<std::uint64_t> start) const {
  control::Files files = need(client().log_files(container));
  logs::Source source = need(logs::parse_description({std::move(files.json), std::move(files.files)}));
  logs::Reader reader = need(logs::Reader::open(std::move(source), {}));
  std::string all;
  while (std::optional<logs::Line> line = need(reader.next()))
    if (!start || line->start == *start) all += line->log;
  return all;
}

std::string Instance::await_log(const std::string& container, const std::string& words,
                                std::optional<std::uint64_t> start) const {
  std::string seen;
  await(
      container, [&](const auto&) { return (seen = log(container, start)).contains(words); },
      "a log with '" + words + "'");
  return seen;
}

std::vector<audit::Entry> Instance::audit() const {
  control::Files files = need(client().audit_files());
  const audit::Source source = need(audit::parse_description({std::move(files.json), std::move(files.files)}));
  const audit::Verified verified = need(audit::verify(source));
  if (verified.fault) FAIL("the audit log is not whole: " << verified.fault->explanation);
  std::vector<audit::Entry> entries;
  need(audit::show(source, {}, [&](const std::optional<audit::Entry>& entry, std::string_view) {
    if (entry) entries.push_back(*entry);
  }));
  return entries;
}

pid_t Instance::supervisor() const {
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", guardian_));
  for (pid_t pid = 0; children >> pid;) {
    std::ifstream name(fmt::format("/proc/{}/comm", pid));
    std::string word;
    if (name >> word && word == "orlopd") return pid;
  }
  return -1;
}

void Instance::kill_supervisor() const {
  const pid_t before = supervisor();
  need(before > 0);
  need(::kill(before, SIGKILL) == 0);
  const BootTime deadline = BootClock::now() + std::chrono::seconds(10);
  for (pid_t now = before; now == before || now <= 0; now = supervisor()) {
    if (BootClock::now() > deadline) FAIL("no new supervisor came");
    pause_briefly();
  }
  (void)client();
}

}  // namespace orlop
