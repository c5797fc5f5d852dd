#include "supervisor/directories.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "base/time.hpp"

namespace orlop::supervisor {
namespace {

// The directory `path` with all its parents; the last component is orlop's own: root's, of `mode`, no link.
Result<UniqueFd> make_place(const std::string& path, mode_t mode) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
    if (::mkdir(path.substr(0, end).c_str(), 0755) != 0 && errno != EEXIST)
      return fail_errno(errno, "mkdir", fmt::format("cannot make '{}'", path.substr(0, end)));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno(errno, "mkdir", fmt::format("cannot make '{}'", path));
  Result<UniqueFd> place = sys::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!place) return place;
  struct stat status{};
  if (::fstat(place->get(), &status) != 0) return fail_errno(errno, "fstat", fmt::format("cannot look at '{}'", path));
  if (status.st_uid != ::geteuid())
    return fail(ErrorKind::corrupt, fmt::format("'{}' belongs to uid {}, not to orlop", path, status.st_uid),
                "move it away, or give it back to root");
  if ((status.st_mode & 07777) != mode && ::fchmod(place->get(), mode) != 0)
    return fail_errno(errno, "fchmod", fmt::format("cannot set the mode of '{}'", path));
  return place;
}

}  // namespace

Result<UniqueFd> lock_instance(const Places& places, bool successor) {
  for (const std::string& path : {places.state, places.logs})
    if (Result<UniqueFd> place = make_place(path, 0700); !place) return place;
  Result<UniqueFd> run = make_place(places.run, 0711);
  if (!run) return run;
  Result<UniqueFd> lock = sys::open_beneath(*run, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (!lock) return lock;
  const BootTime until = BootClock::now() + (successor ? std::chrono::seconds(5) : std::chrono::seconds(0));
  while (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK && BootClock::now() < until)
    (void)::usleep(2000);
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return fail_errno(errno, "flock", fmt::format("cannot lock '{}'", places.run));
  return fail(ErrorKind::conflict, fmt::format("another orlopd runs on '{}'", places.run),
              "give this one a directory of its own with --root DIR");
}

Result<Directories> Directories::open(BorrowedFd root, const std::string& era) {
  Directories directories;
  struct Wanted {
    UniqueFd Directories::* place;
    const UniqueFd Directories::* parent;
    const char* name;
  };
  static constexpr Wanted wanted[] = {
      {&Directories::run, nullptr, "run"},
      {&Directories::state, nullptr, "state"},
      {&Directories::state_records, &Directories::state, "records"},
      {&Directories::images, &Directories::state, "images"},
      {&Directories::volumes, &Directories::state, "volumes"},
      {&Directories::audit, &Directories::state, "audit"},
      {&Directories::logs, nullptr, "logs"},
  };
  for (const Wanted& want : wanted) {
    const BorrowedFd parent = want.parent == nullptr ? root : BorrowedFd(directories.*want.parent);
    Result<UniqueFd> opened = make_directory(parent, want.name, 0700);
    if (!opened) return fail(std::move(opened), fmt::format("cannot open orlop's directory '{}'", want.name));
    directories.*want.place = std::move(*opened);
  }
  Result<UniqueFd> eras = make_directory(directories.run, "records", 0700);
  if (!eras) return fail(std::move(eras), "cannot open orlop's directory 'records'");
  Result<std::vector<std::string>> others = list_directory(*eras);
  if (!others) return pass(std::move(others));
  for (const std::string& other : *others)
    if (other != era)
      if (Result<void> removed = remove_tree(*eras, other); !removed)
        return fail(std::move(removed), "cannot remove old records");
  Result<UniqueFd> records = make_directory(*eras, era, 0700);
  if (!records) return fail(std::move(records), "cannot open orlop's directory 'records'");
  directories.run_records = std::move(*records);
  return directories;
}

}  // namespace orlop::supervisor
