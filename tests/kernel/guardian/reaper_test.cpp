// orlop-reaper as PID 1 of a pid namespace: what a container with `init = true` gets.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <thread>

#include "tests/kernel/guardian/harness.hpp"

using namespace orlop;
using namespace orlop::guardian_test;

namespace {

enum class ExecutedBy { path, descriptor };

/// A reaper that is PID 1, killed with its namespace when the test leaves.
class Reaper {
 public:
  explicit Reaper(std::vector<std::string> command, ExecutedBy by = ExecutedBy::path) {
    command.insert(command.begin(), "orlop-reaper");
    std::vector<char*> argv;
    for (std::string& argument : command) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const UniqueFd program = sys::open(ORLOP_REAPER, O_PATH).value();
    sys::Pipe output = sys::pipe().value();
    REQUIRE(::unshare(CLONE_NEWPID) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      (void)::dup2(output.write.get(), STDOUT_FILENO);
      if (by == ExecutedBy::path)
        ::execv(ORLOP_REAPER, argv.data());
      else
        ::fexecve(program.get(), argv.data(), environ);
      ::_exit(99);
    }
    REQUIRE(sys::setns(sys::open("/proc/self/ns/pid", O_RDONLY).value(), CLONE_NEWPID));
    REQUIRE(pid_ > 0);
    output_ = std::move(output.read);
  }
  ~Reaper() {
    if (pid_ > 0) {
      (void)::kill(pid_, SIGKILL);
      (void)::waitpid(pid_, nullptr, 0);
    }
  }
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  int exit_status() {
    int status = 0;
    REQUIRE(::waitpid(std::exchange(pid_, -1), &status, 0) > 0);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
  }
  /// Waits for the next bytes that the command writes.
  std::string read() {
    char buffer[256];
    const ssize_t size = ::read(output_.get(), buffer, sizeof buffer);
    return size < 0 ? "" : std::string(buffer, static_cast<std::size_t>(size));
  }
  void signal(int number) const { REQUIRE(::kill(pid_, number) == 0); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  UniqueFd output_;
};

}  // namespace

TEST_CASE("the reaper is at most 32 KiB and loads nothing", "[reaper]") {
  struct stat file{};
  REQUIRE(::stat(ORLOP_REAPER, &file) == 0);
  CHECK(file.st_size <= 32 * 1024);
  CHECK(read_text(ORLOP_REAPER).find("ld-linux") == std::string::npos);
}

TEST_CASE("the reaper exits as its child did", "[reaper][root]") {
  CHECK(Reaper({"/bin/sh", "-c", "exit 7"}).exit_status() == 7);
  CHECK(Reaper({"/bin/sh", "-c", "kill -9 $$"}).exit_status() == 128 + SIGKILL);
  CHECK(Reaper({"/bin/sh", "-c", "exit 7"}, ExecutedBy::descriptor).exit_status() == 7);
}

TEST_CASE("the reaper finds a program in PATH, and says by its status when there is none", "[reaper][root]") {
  CHECK(Reaper({"true"}).exit_status() == 0);
  CHECK(Reaper({"no-such-program"}).exit_status() == 127);
  CHECK(Reaper({"/no/such/program"}).exit_status() == 127);
  CHECK(Reaper({"/etc/passwd"}).exit_status() == 126);
  CHECK(Reaper({}).exit_status() == 125);
}

TEST_CASE("the reaper hands signals on, and the child finds none blocked", "[reaper][root]") {
  for (const char* name : {"TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "CONT"}) {
    INFO(name);
    Reaper reaper(
        {"/bin/sh", "-c", std::string("trap 'exit 40' ") + name + "; echo ready; while :; do sleep 0.05; done"});
    REQUIRE(reaper.read() == "ready\n");
    const std::string number = name;
    reaper.signal(number == "TERM"    ? SIGTERM
                  : number == "INT"   ? SIGINT
                  : number == "HUP"   ? SIGHUP
                  : number == "QUIT"  ? SIGQUIT
                  : number == "USR1"  ? SIGUSR1
                  : number == "USR2"  ? SIGUSR2
                  : number == "WINCH" ? SIGWINCH
                                      : SIGCONT);
    CHECK(reaper.exit_status() == 40);
  }
}

TEST_CASE("a child that does not handle SIGTERM dies of it, although PID 1 would not", "[reaper][root]") {
  Reaper reaper({"/bin/sh", "-c", "echo ready; exec sleep 1000"});
  REQUIRE(reaper.read() == "ready\n");
  reaper.signal(SIGTERM);
  CHECK(reaper.exit_status() == 128 + SIGTERM);
}

TEST_CASE("twenty thousand double-forked orphans leave no zombie", "[reaper][root][T38]") {
  Reaper reaper({GUARDIAN_PEER, "orphans", "20000"});
  REQUIRE(reaper.read() == "done");
  const std::string children =
      "/proc/" + std::to_string(reaper.pid()) + "/task/" + std::to_string(reaper.pid()) + "/children";
  const BootTime deadline = BootClock::now() + 10s;
  std::string left;
  do left = read_text(children);
  while (left.find(' ') != left.rfind(' ') && BootClock::now() < deadline);
  CHECK(left.find(' ') == left.rfind(' '));  // the payload alone
  reaper.signal(SIGTERM);
  CHECK(reaper.exit_status() == 128 + SIGTERM);
}
