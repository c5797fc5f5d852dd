#include "tests/kernel/supervisor/host_view.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "base/digest.hpp"

namespace orlop {
namespace {

namespace fs = std::filesystem;

// The instance's subtree in each hierarchy (cgroups/tree.hpp says how it is named).
std::vector<fs::path> subtrees(const Instance& instance) {
  const std::string name = "orlop-" + hex(sha256(instance.root() + "/state")).substr(0, 12);
  std::vector<fs::path> found;
  std::error_code ignored;  // groups come and go while we walk
  for (fs::recursive_directory_iterator at("/sys/fs/cgroup", ignored), end; at != end; at.increment(ignored))
    if (at->path().filename() == name) found.push_back(at->path());
  return found;
}

pid_t parent_of(pid_t pid) {
  const std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos ? -1 : std::stoi(stat.substr(name_end + 4));
}

}  // namespace

Said shell(const std::string& command) {
  FILE* pipe = ::popen(("exec 2>&1; " + command).c_str(), "r");
  Said said;
  char buffer[512];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) said.output.append(buffer, count);
  const int status = ::pclose(pipe);
  said.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return said;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string proc_status(pid_t pid, const std::string& field) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(field + ":")) return line.substr(field.size() + 2);
  return {};
}

bool is_alive(pid_t pid) {
  return ::kill(pid, 0) == 0 && !proc_status(pid, "State").starts_with("Z");
}

std::set<pid_t> descendants(pid_t pid) {
  std::map<pid_t, pid_t> parents;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos)
      parents[std::stoi(name)] = parent_of(std::stoi(name));
  }
  std::set<pid_t> below;
  for (const auto& [child, parent] : parents)
    for (pid_t above = parent; above > 1; above = parents.contains(above) ? parents[above] : 0)
      if (above == pid) below.insert(child);
  return below;
}

std::size_t open_fds(pid_t pid) {
  std::error_code ignored;
  std::size_t count = 0;
  for ([[maybe_unused]] const fs::directory_entry& entry :
       fs::directory_iterator(fmt::format("/proc/{}/fd", pid), ignored))
    ++count;
  return count;
}

std::set<std::string> leaves(const Instance& instance) {
  std::set<std::string> found;
  std::error_code ignored;
  for (const fs::path& subtree : subtrees(instance))
    for (const fs::directory_entry& entry : fs::directory_iterator(subtree / "c", ignored))
      if (entry.is_directory(ignored)) found.insert(entry.path());
  return found;
}

std::set<pid_t> contained(const Instance& instance) {
  std::set<pid_t> pids;
  for (const std::string& leaf : leaves(instance)) {
    std::ifstream procs(leaf + "/cgroup.procs");
    for (pid_t pid = 0; procs >> pid;) pids.insert(pid);
  }
  return pids;
}

std::size_t mounts_of(pid_t pid) {
  const std::string table = read_text(fmt::format("/proc/{}/mountinfo", pid));
  return static_cast<std::size_t>(std::count(table.begin(), table.end(), '\n'));
}

void await_that(const std::function<bool()>& condition, const std::string& what, Duration timeout) {
  const BootTime deadline = BootClock::now() + timeout;
  while (!condition()) {
    if (BootClock::now() > deadline) FAIL("waited in vain until " << what);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace orlop
