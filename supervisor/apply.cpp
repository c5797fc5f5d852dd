// From the file that a client passed to what runs: read, judge, claim, record, then tell the core. What fails anywhere
// on this way changes nothing; the file is on disk before the core hears of it.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "config/admission.hpp"
#include "config/effective.hpp"
#include "config/parse.hpp"
#include "supervisor/core/plan.hpp"
#include "supervisor/supervisor.hpp"
#include "supervisor/wanted.hpp"

namespace orlop::supervisor {

struct Supervisor::Applying {
  control::Reply<std::string> reply;
  std::string file_name;
  std::string text;
  config::Host host;
  core::HostWanted wanted;
  std::vector<core::Planned> plan;
  std::vector<std::string> owners;  ///< that need an id range
  std::set<std::string> kept;       ///< all that may still use theirs
  IdMap ids;                        ///< what the writer thread claimed
};

namespace {

Error all_of(const std::vector<Error>& errors) {
  std::string lines;
  for (const Error& error : errors) lines += (lines.empty() ? "" : "\n") + text(error);
  return fail(ErrorKind::config, std::move(lines)).error();
}

Result<std::string> read_passed_file(BorrowedFd file) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_errno(errno, "fstat", "cannot look at the file that was passed");
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::config, "what was passed is not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) > config::max_file_bytes)
    return fail(ErrorKind::config,
                fmt::format("the host file is larger than {}", format_bytes({config::max_file_bytes})));
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t count = ::pread(file.get(), text.data() + filled, text.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "pread", "cannot read the file that was passed");
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

config::Machine this_machine(const cgroups::Facts& facts) {
  struct sysinfo info{};
  (void)::sysinfo(&info);  // fails for a wrong pointer only
  const auto cpus = static_cast<std::uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN));
  config::Machine machine{.memory = {static_cast<std::uint64_t>(info.totalram) * info.mem_unit},
                          .cpu_millis = cpus * 1000,
                          .cpu_count = cpus};
  machine.keeps_memory_min = facts.version_of(cgroups::Controller::memory) == cgroups::Version::v2;
  return machine;
}

std::string plan_json(const std::vector<core::Planned>& plan, bool dry_run) {
  nlohmann::ordered_json json = {{"dry_run", dry_run}, {"plan", nlohmann::ordered_json::array()}};
  for (const core::Planned& planned : plan)
    json["plan"].push_back({{"action", core::to_string(planned.action)}, {"name", planned.name}, {"why", planned.why}});
  return json.dump();
}

}  // namespace

// A container is checked against its image now, so that a mistake is told at apply and not at a start in the night.
Result<std::vector<std::string>> Supervisor::check_images(const config::Host& host) {
  std::vector<std::string> owners;
  std::vector<Error> errors;
  for (const auto& [name, container] : host.containers) {
    owners.push_back(id_owner_of_container(name));
    const Result<const image::Record*> record = executor_->record_of(container.image.manifest);
    if (!record) {
      Error error = record.error();
      error.chain.insert(error.chain.begin(), fmt::format("container '{}': its image {} cannot be used", name,
                                                          image::text(container.image)));
      error.place = container.places.of("image");
      if (error.kind == ErrorKind::not_found) error.remedy = "import it first: orlop image import PATH";
      errors.push_back(std::move(error));
      continue;
    }
    if (const Result<sandbox::Spec> spec = preparation_->resolve(container, **record); !spec)
      errors.push_back(spec.error());
  }
  for (const auto& [name, volume] : host.volumes) owners.push_back(id_owner_of_volume(name));
  if (!errors.empty()) return std::unexpected(all_of(errors));
  return owners;
}

void Supervisor::apply(const control::Peer& peer, control::ApplyRequest request, control::Reply<std::string> reply) {
  if (std::optional<Error> refusal = why_no_changes()) return reply.answer(std::unexpected(std::move(*refusal)));
  Result<std::string> text = read_passed_file(request.file);
  if (!text) return reply.answer(pass(std::move(text)));
  std::expected<config::Host, std::vector<Error>> host = config::parse(*text, request.file_name);
  if (!host) return reply.answer(std::unexpected(all_of(host.error())));
  if (const auto admitted = config::admit(*host, this_machine(tree_->facts())); !admitted)
    return reply.answer(std::unexpected(all_of(admitted.error())));
  Result<std::vector<std::string>> owners = check_images(*host);
  if (!owners) return reply.answer(pass(std::move(owners)));
  core::HostWanted wanted;
  for (const auto& [name, container] : host->containers) {
    const Result<const image::Record*> record = executor_->record_of(container.image.manifest);
    wanted.emplace(name, wanted_of(container, **record));
  }
  std::vector<core::Planned> plan = core::plan(state_, wanted);
  if (request.dry_run) return reply.answer(plan_json(plan, true));
  if (applying_) return reply.answer(fail(ErrorKind::conflict, "another host file is being applied", "wait for it"));
  applying_ = true;

  auto applying = std::make_shared<Applying>(Applying{std::move(reply),
                                                      request.file_name,
                                                      std::move(*text),
                                                      std::move(*host),
                                                      std::move(wanted),
                                                      std::move(plan),
                                                      std::move(*owners),
                                                      {},
                                                      {}});
  applying->kept.insert(applying->owners.begin(), applying->owners.end());
  for (const auto& [name, container] : state_.containers) applying->kept.insert(id_owner_of_container(name));
  audit::Record record;
  record.actor = audit::Client{peer.uid, peer.pid, peer.executable};
  record.what = "host.apply";
  record.object = request.file_name;
  record.why = "client";
  record.before = hex(sha256(config::effective_toml(host_)));
  record.after = hex(sha256(config::effective_toml(applying->host)));
  const Result<void> queued = audit_->append(std::move(record), [this, applying](Result<void> recorded) {
    if (!recorded)
      return finish_apply(applying, fail(std::move(recorded), "the apply cannot be recorded, and is refused"));
    const Result<void> submitted = writer_->submit(
        [this, applying]() -> Result<void> {
          for (const std::string& owner : applying->owners)
            if (Result<sandbox::IdRange> claimed = ranges_->claim(owner); !claimed) return pass(std::move(claimed));
          // A container that is gone has left nothing that its ids own: logs are orlop's. Volumes keep theirs until
          // `volume rm`.
          const auto known = ranges_->all();
          for (const auto& [owner, range] : known)
            if (owner.starts_with(id_owner_of_container("")) && !applying->kept.contains(owner))
              if (Result<void> released = ranges_->release(owner); !released) return released;
          applying->ids = ranges_->all();
          for (const auto& [name, volume] : applying->host.volumes) {
            Result<UniqueFd> directory = make_directory(directories_.volumes, name, 0700);
            if (!directory) return fail(std::move(directory), fmt::format("cannot make the volume '{}'", name));
            if (Result<UniqueFd> data = make_directory(*directory, "data", 0700); !data)
              return fail(std::move(data), fmt::format("cannot make the volume '{}'", name));
          }
          return save_host_file(directories_, applying->file_name, applying->text);
        },
        [this, applying](Result<void> claimed) { finish_apply(applying, std::move(claimed)); });
    if (!submitted) finish_apply(applying, submitted);
  });
  if (!queued) finish_apply(applying, queued);
}

void Supervisor::finish_apply(const std::shared_ptr<Applying>& applying, Result<void> claimed) {
  applying_ = false;
  if (!claimed) return applying->reply.answer(fail(std::move(claimed), "the host file was not applied"));
  ids_ = std::move(applying->ids);
  host_ = std::move(applying->host);
  Bytes minimum{};
  for (const auto& [name, container] : host_.containers) minimum.count += container.limits.memory_min.count;
  (void)tree_->set_memory_min(minimum);  // doctor names the level above that keeps less
  decide(core::event::Applied{std::move(applying->wanted)});
  if (server_) server_->supervisor_changed();
  applying->reply.answer(plan_json(applying->plan, false));
}

}  // namespace orlop::supervisor
