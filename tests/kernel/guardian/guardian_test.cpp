// The guardian as orlopd sees it, by a real orlop-init, real children and kill -9.
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/kernel/guardian/harness.hpp"

using namespace orlop;
using namespace orlop::guardian_test;
using supervisor::Exited;
using supervisor::Gone;
using supervisor::NamedFd;
using supervisor::Ping;
using supervisor::Refused;
using supervisor::Registered;
using supervisor::Terminate;

namespace {

std::string read_now(BorrowedFd fd) {
  char buffer[64];
  const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
  return size < 0 ? "" : std::string(buffer, static_cast<std::size_t>(size));
}

guardian::FdName fd_name(std::string_view text) {
  guardian::FdName name;
  text.copy(name.text, sizeof name.text - 1);
  return name;
}

}  // namespace

TEST_CASE("an exit is reported once, with its status and times, and again to each successor until acknowledged",
          "[guardian][root]") {
  Guardian guardian;
  Peer first = guardian.peer();
  const supervisor::Replay nothing = first.take_back();
  CHECK_FALSE(nothing.hands_off);
  CHECK(nothing.deaths == 0);
  CHECK(nothing.running.size() + nothing.kept.size() + nothing.exits.size() == 0);
  const BootTime before = BootClock::now();
  const Child child = first.run(7, 3);
  const auto told = first.expect<Exited>();
  CHECK(told.start == 7);
  CHECK(told.pid == child.pid);
  CHECK(told.code == CLD_EXITED);
  CHECK(told.status == 3);
  CHECK(told.at >= before);
  CHECK(told.at <= BootClock::now());
  CHECK(told.max_rss.count > 0);
  first.kill();

  Peer second = guardian.peer();
  const supervisor::Replay replay = second.take_back();
  CHECK(replay.deaths == 1);
  CHECK(replay.exits == std::vector{told});
  REQUIRE(second.link->acknowledge(7));
  second.kill();
  CHECK(guardian.peer().take_back().exits.empty());
}

TEST_CASE("a container killed by a signal is reported as killed, and its processor time is counted",
          "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, -1);
  CHECK(read_now(child.output) == "payload");
  REQUIRE(sys::pidfd_send_signal(child.pidfd, SIGKILL));
  const auto exit = peer.expect<Exited>();
  CHECK(exit.code == CLD_KILLED);
  CHECK(exit.status == SIGKILL);
}

TEST_CASE("containers run on when orlopd is killed, and come back with their pidfds and the bytes in their pipes",
          "[guardian][root]") {
  Guardian guardian;
  Peer first = guardian.peer();
  first.take_back();
  Child child = first.child(-1);
  const UniqueFd mntns = sys::open("/proc/self/ns/mnt", O_RDONLY).value();
  REQUIRE(first.link->register_start(7, child.pid, child.pidfd, std::vector<NamedFd>{{"stdout/7", child.output}}));
  REQUIRE(first.link->keep("mntns", mntns));
  first.expect<Registered>();
  first.kill();
  child.output.reset();
  child.open_gate();  // it writes while no orlopd lives

  Peer second = guardian.peer();
  supervisor::Replay replay = second.take_back();
  REQUIRE(replay.running.size() == 1);
  CHECK(replay.running[0].start == 7);
  CHECK(replay.running[0].pid == child.pid);
  REQUIRE(replay.kept.size() == 2);
  CHECK(replay.kept[0].name == "stdout/7");
  CHECK(read_now(replay.kept[0].fd) == "payload");
  CHECK(replay.kept[1].name == "mntns");
  CHECK(sys::setns(replay.kept[1].fd, CLONE_NEWNS));
  REQUIRE(sys::pidfd_send_signal(replay.running[0].pidfd, SIGKILL));
  CHECK(second.expect<Exited>().start == 7);
}

TEST_CASE("a kept descriptor is closed when it is dropped or replaced, not when the exit is acknowledged",
          "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  sys::Pipe first = sys::pipe().value();
  sys::Pipe second = sys::pipe().value();
  REQUIRE(peer.link->keep("control", first.write));
  first.write.reset();
  REQUIRE(peer.link->keep("control", second.write));
  second.write.reset();
  CHECK(wait_readable(first.read));  // end of file: the last writer is gone
  peer.run(7, 0);
  peer.expect<Exited>();
  REQUIRE(peer.link->acknowledge(7));
  peer.run(8, 0);  // its answer says that the acknowledgement was read
  CHECK_FALSE(wait_readable(second.read, 0ms));
  REQUIRE(peer.link->drop("control"));
  CHECK(wait_readable(second.read));
}

TEST_CASE("a child that waits at its gate exits when orlopd dies before it was registered", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  Child child = peer.child(0);
  peer.kill();
  child.gate.reset();
  CHECK(ends(child.pidfd));
  Peer next = guardian.peer();
  const supervisor::Replay replay = next.take_back();
  CHECK(replay.running.empty());
  CHECK(replay.exits.empty());
}

TEST_CASE("registering a child that is dead already is answered gone, reaped or not", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  Child child = peer.child(0);
  child.gate.reset();
  REQUIRE(ends(child.pidfd));
  REQUIRE(peer.link->register_start(7, child.pid, child.pidfd));
  CHECK(peer.expect<Gone>().start == 7);
  const UniqueFd stranger = sys::pidfd_open(::getpid()).value();
  REQUIRE(peer.link->register_start(8, ::getpid(), stranger));
  CHECK(peer.expect<Gone>().start == 8);
}

TEST_CASE("a start number used twice is refused and the first start is not touched", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child first = peer.run(7, 5);
  peer.expect<Exited>();
  const Child second = peer.child(0);
  REQUIRE(peer.link->register_start(7, second.pid, second.pidfd));
  const auto refused = peer.expect<Refused>();
  CHECK(refused.start == 7);
  CHECK(refused.reason == "the guardian knows this start already");
  peer.kill();
  const supervisor::Replay replay = guardian.peer().take_back();
  REQUIRE(replay.exits.size() == 1);
  CHECK(replay.exits[0].status == 5);
}

TEST_CASE("what orlopd has sent counts, although it is killed before the guardian answers", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.child(-1);
  guardian.signal(SIGSTOP);
  REQUIRE(peer.link->register_start(7, child.pid, child.pidfd));
  REQUIRE(peer.link->keep("mntns", sys::open("/proc/self/ns/mnt", O_RDONLY).value()));
  peer.kill();
  guardian.signal(SIGCONT);
  const supervisor::Replay replay = guardian.peer().take_back();
  REQUIRE(replay.running.size() == 1);
  CHECK(replay.running[0].start == 7);
  CHECK(replay.kept.size() == 1);
}

TEST_CASE("an orlopd that does not read stops no reaping, and finds every exit once when it reads again",
          "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  constexpr int count = 800;                                // the socket holds about 280 messages
  const rlimit enough{.rlim_cur = 4096, .rlim_max = 4096};  // three descriptors a child
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &enough) == 0);
  std::vector<Child> children;
  for (int i = 0; i < count; ++i) {
    children.push_back(peer.child(i % 100));
    REQUIRE(peer.link->register_start(1 + i, children.back().pid, children.back().pidfd));
    peer.expect<Registered>();
  }
  for (const Child& child : children) child.open_gate();
  // All are dead before one exit is heard; the kernel forgets a pid only when the guardian has reaped it.
  for (const Child& child : children) {
    REQUIRE(ends(child.pidfd));
    while (::kill(child.pid, 0) == 0) std::this_thread::yield();
  }
  std::set<std::uint64_t> heard;
  for (int i = 0; i < count; ++i) {
    const auto exit = peer.expect<Exited>();
    if (!heard.insert(exit.start).second) FAIL("told twice: " << exit.start);
    if (exit.status != static_cast<int>((exit.start - 1) % 100)) FAIL("wrong status: " << exit.start);
  }
  CHECK(heard.size() == count);
  peer.kill();
  CHECK(guardian.peer().take_back().exits.size() == count);  // a replay larger than the socket
}

TEST_CASE("the fifth death in a minute starts orlopd hands-off", "[guardian][root]") {
  Guardian guardian;
  for (int death = 0; death < 5; ++death) {
    Peer peer = guardian.peer();
    CHECK_FALSE(peer.take_back().hands_off);
    peer.kill();
  }
  Peer peer = guardian.peer();
  const supervisor::Replay replay = peer.take_back();
  CHECK(replay.hands_off);
  CHECK(replay.deaths == 5);
  CHECK(guardian.log().find("started hands-off") != std::string::npos);
}

TEST_CASE("an orlopd that answers pings stays, and one that misses two is replaced", "[guardian][root]") {
  Guardian guardian({"--ping-interval-ms", "150"});
  Peer peer = guardian.peer();
  peer.take_back();
  for (int i = 0; i < 6; ++i) {
    peer.expect<Ping>();
    REQUIRE(peer.link->pong());
  }
  CHECK_FALSE(ends(peer.pidfd, 0ms));
  const Child child = peer.run(7, -1);  // pings stay unread from here on
  CHECK(ends(peer.pidfd));
  Peer next = guardian.peer();
  CHECK(next.take_back().running.size() == 1);
}

TEST_CASE("an orlopd that says nothing at all is replaced", "[guardian][root]") {
  Guardian guardian({"--ping-interval-ms", "50"});
  Peer silent = guardian.peer();
  CHECK(ends(silent.pidfd));
  guardian.peer();
}

TEST_CASE("an orlopd that closes its end without dying is replaced", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  peer.link.reset();
  CHECK(ends(peer.pidfd));
  guardian.peer();
}

TEST_CASE("a message that breaks the protocol costs orlopd its place, and nothing else", "[guardian][root]") {
  Guardian guardian({"--chaos"});
  Peer first = guardian.peer();
  first.take_back();
  const Child child = first.run(7, -1);
  first.kill();
  Peer before = guardian.peer();
  REQUIRE(before.take_back().running.size() == 1);
  const std::size_t fds = count_fds(guardian.pid());
  before.kill();
  const std::array<int, 6> many = {0, 1, 2, 0, 1, 2};
  struct Garbage {
    const char* what;
    guardian::Request request;
    std::size_t size;
    std::size_t fds;
  };
  const guardian::Request pong{.kind = guardian::RequestKind::pong};
  const guardian::Request keep{.kind = guardian::RequestKind::keep, .names = {fd_name("x")}};
  const guardian::Request add{.kind = guardian::RequestKind::register_start, .start = 9, .pid = child.pid};
  const std::vector<Garbage> garbage = {
      {"one byte", pong, 1, 0},
      {"a short message", pong, sizeof pong - 1, 0},
      {"a long message", pong, sizeof pong + 100, 0},
      {"another version", {.version = 77, .kind = guardian::RequestKind::pong}, sizeof pong, 0},
      {"another kind", {.kind = static_cast<guardian::RequestKind>(77)}, sizeof pong, 0},
      {"a second hello", {.kind = guardian::RequestKind::hello}, sizeof pong, 0},
      {"a descriptor too many", pong, sizeof pong, 1},
      {"a descriptor missing", keep, sizeof keep, 0},
      {"six descriptors", add, sizeof add, 6},
      {"no name", {.kind = guardian::RequestKind::drop}, sizeof pong, 0},
  };
  for (const Garbage& each : garbage) {
    INFO(each.what);
    Peer peer = guardian.peer();
    REQUIRE(peer.take_back().running.size() == 1);
    std::array<std::byte, sizeof each.request + 100> bytes{};
    std::memcpy(bytes.data(), &each.request, sizeof each.request);
    REQUIRE(send_message(peer.link->fd(), std::span(bytes).first(each.size), std::span(many).first(each.fds)).value());
    REQUIRE(ends(peer.pidfd));
  }
  Peer last = guardian.peer();
  CHECK(last.take_back().running.size() == 1);
  CHECK(count_fds(guardian.pid()) == fds);
}

TEST_CASE("SIGTERM asks orlopd to stop everything; the guardian exits with 0 when nothing is left",
          "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, -1);
  guardian.signal(SIGTERM);
  CHECK(peer.expect<Terminate>().signal == SIGTERM);
  REQUIRE(sys::pidfd_send_signal(child.pidfd, SIGKILL));
  peer.expect<Exited>();
  REQUIRE(peer.link->acknowledge(7));
  REQUIRE(peer.link->stopping());
  REQUIRE(peer.link->flush());
  CHECK_FALSE(ends(guardian.pidfd(), 50ms));  // orlopd still lives
  peer.orders.reset();
  CHECK(guardian.exit_status() == 0);
}

TEST_CASE("an orlopd that dies while stopping is started again and asked again", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, -1);
  guardian.signal(SIGINT);
  CHECK(peer.expect<Terminate>().signal == SIGINT);
  peer.kill();
  Peer next = guardian.peer();
  CHECK(next.take_back().running.size() == 1);
  CHECK(next.expect<Terminate>().signal == SIGINT);
}

TEST_CASE("a second SIGTERM, or the stop timeout, kills all that is left", "[guardian][root]") {
  const bool twice = GENERATE(true, false);
  Guardian guardian(twice ? std::vector<std::string>{} : std::vector<std::string>{"--stop-timeout-ms", "50"});
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, -1);
  guardian.signal(SIGTERM);
  peer.expect<Terminate>();
  if (twice) guardian.signal(SIGTERM);
  CHECK(guardian.exit_status() == 1);
  CHECK(ends(child.pidfd, 0ms));
  CHECK(ends(peer.pidfd, 0ms));
}

TEST_CASE("when the guardian is killed, orlopd is told and its containers end", "[guardian][root][T67]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, -1);
  REQUIRE(read_now(child.output) == "payload");
  guardian.signal(SIGKILL);
  REQUIRE(wait_readable(peer.link->fd(), 2s));
  const auto messages = peer.link->receive();
  REQUIRE_FALSE(messages);
  CHECK(sentence(messages.error()).find("guardian is gone") != std::string::npos);
  CHECK(ends(child.pidfd, 2s));
  CHECK(ends(peer.pidfd, 2s));
}

TEST_CASE("orphans of orlopd's own helpers are reaped and reported to nobody", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child orphan = peer.make({.order = Order::orphan, .status = 0});
  CHECK(status_field(orphan.pid, "PPid") == std::to_string(guardian.pid()));
  orphan.open_gate();
  REQUIRE(ends(orphan.pidfd));
  peer.run(7, 0);
  CHECK(peer.expect<Exited>().start == 7);
  while (::kill(orphan.pid, 0) == 0) std::this_thread::yield();  // a zombie could be signalled
}

TEST_CASE("orlopd begins with the socket alone, no signal blocked or ignored, and every capability",
          "[guardian][root]") {
  Guardian guardian;
  const Peer peer = guardian.peer();
  // 0, 1, 2 and its own connection to this test; the socket, 3, it closes once it has lent it.
  const BootTime deadline = BootClock::now() + patience;
  while (count_fds(peer.pid) > 4 && BootClock::now() < deadline) std::this_thread::yield();
  CHECK(count_fds(peer.pid) == 4);
  CHECK(std::stoull(status_field(peer.pid, "SigBlk"), nullptr, 16) == 0);
  CHECK(std::stoull(status_field(peer.pid, "SigIgn"), nullptr, 16) == 0);
  CHECK(status_field(peer.pid, "CapEff") == status_field(::getpid(), "CapEff"));
  CHECK(read_text("/proc/" + std::to_string(peer.pid) + "/oom_score_adj") == read_text("/proc/self/oom_score_adj"));
}

TEST_CASE("the guardian uses no capability but CAP_KILL, and blocks what could end it", "[guardian][root]") {
  Guardian guardian;
  guardian.peer();
  CHECK(std::stoull(status_field(guardian.pid(), "CapEff"), nullptr, 16) == 1U << 5);
  for (const int harmless : {SIGHUP, SIGPIPE, SIGUSR1, SIGQUIT, SIGALRM, 32, SIGRTMAX}) guardian.signal(harmless);
  CHECK_FALSE(ends(guardian.pidfd(), 50ms));
}

TEST_CASE("a guardian without free descriptors refuses and goes on", "[guardian][root]") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, 0);
  peer.expect<Exited>();
  const rlimit small = {count_fds(guardian.pid()), limit.rlim_max};
  REQUIRE(::prlimit(guardian.pid(), RLIMIT_NOFILE, &small, nullptr) == 0);
  REQUIRE(peer.link->keep("mntns", sys::open("/proc/self/ns/mnt", O_RDONLY).value()));
  const auto refused = peer.expect<Refused>();
  CHECK(refused.name == "mntns");
  CHECK(refused.reason == "the guardian has reached its limit of open files");
  REQUIRE(peer.link->acknowledge(7));
  const Child next = peer.child(0);
  REQUIRE(peer.link->register_start(8, next.pid, next.pidfd));
  CHECK(peer.expect<Registered>().start == 8);  // the acknowledged pidfd made room
}

TEST_CASE("a thousand starts leave the guardian's descriptors and memory as they were", "[guardian][root]") {
  Guardian guardian;
  Peer peer = guardian.peer();
  peer.take_back();
  const auto one = [&](std::uint64_t start) {
    const Child child = peer.child(0);
    const std::string name = "stdout/" + std::to_string(start);
    REQUIRE(peer.link->register_start(start, child.pid, child.pidfd, std::vector<NamedFd>{{name, child.output}}));
    peer.expect<Registered>();
    child.open_gate();
    peer.expect<Exited>();
    REQUIRE(peer.link->acknowledge(start));
    REQUIRE(peer.link->drop(name));
  };
  one(1);
  peer.run(4000, 0);  // its answer says that the drop before was read
  peer.expect<Exited>();
  const std::string maps = read_text("/proc/" + std::to_string(guardian.pid()) + "/maps");
  const std::size_t fds = count_fds(guardian.pid());
  for (std::uint64_t start = 2; start <= 1000; ++start) one(start);
  peer.run(5000, 0);
  peer.expect<Exited>();
  CHECK(count_fds(guardian.pid()) == fds + 1);
  CHECK(read_text("/proc/" + std::to_string(guardian.pid()) + "/maps") == maps);
}

TEST_CASE("the guardian works as PID 1 of a pid namespace", "[guardian][root]") {
  Guardian guardian({}, "lend", Guardian::Pids::own);
  Peer peer = guardian.peer();
  peer.take_back();
  const Child child = peer.run(7, 4);
  CHECK(peer.expect<Exited>().status == 4);
  peer.kill();
  Peer next = guardian.peer();
  CHECK(next.take_back().exits.size() == 1);
  guardian.signal(SIGTERM);
  next.expect<Terminate>();
  REQUIRE(next.link->stopping());
  next.orders.reset();
  CHECK(guardian.exit_status() == 0);
}

TEST_CASE("an orlopd that cannot be executed is tried again, and SIGTERM ends that", "[guardian][root]") {
  TemporaryDirectory directory;
  const std::string log = directory.path() + "/stderr";
  const pid_t pid = ::fork();
  if (pid == 0) {
    (void)::dup2(::open(log.c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    ::execl(ORLOP_INIT, "orlop-init", "--orlopd", "/nonexistent", nullptr);
    ::_exit(127);
  }
  const auto count = [&] {
    const std::string text = read_text(log);
    std::size_t n = 0;
    for (std::size_t at = 0; (at = text.find("cannot execute orlopd: errno 2", at)) != std::string::npos; ++at) ++n;
    return n;
  };
  while (count() < 3) std::this_thread::yield();
  REQUIRE(::kill(pid, SIGTERM) == 0);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
