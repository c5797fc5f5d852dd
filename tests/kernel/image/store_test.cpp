#include "image/store.hpp"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <random>

#include "image/reference.hpp"
#include "image/worker_line.hpp"
#include "tests/kernel/image/sealed.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

// A store in a directory of its own.
struct OwnStore {
  [[nodiscard]] Store open() const { return need(Store::open(need(sys::duplicate(directory.fd())))); }
  [[nodiscard]] std::vector<std::string> files() const { return need(list_directory(directory.fd())); }
  TemporaryDirectory directory;
};

Result<Record> try_import(Store& store, const Layout& layout, const Request& request, Replace replace) {
  Intake intake = need(store.begin(0, 0));
  need(take(layout.source(), intake.directory, request));
  return store.adopt(std::move(intake), replace);
}

Record import(Store& store, const Layout& layout, const Request& request = {}) {
  return need(try_import(store, layout, request, Replace::allowed));
}

void fill(Layout& layout, int files, int bytes) {
  std::vector<TarEntry> entries;
  for (int i = 0; i < files; ++i)
    entries.push_back(
        {.name = fmt::format("d{}/f{}", i % 10, i), .content = std::string(bytes, static_cast<char>('a' + i % 26))});
  layout.layer(entries);
  layout.write();
}

// Moments at which to kill what takes as long as `measured` did: whatever the machine's speed, most of them hit.
class KillMoments {
 public:
  KillMoments(Duration measured, unsigned seed)
      : span_(std::chrono::duration_cast<std::chrono::microseconds>(measured)), random_(seed) {}
  std::chrono::microseconds next() {
    return std::chrono::microseconds(random_() % static_cast<std::uint64_t>(span_.count() + 1));
  }

 private:
  std::chrono::microseconds span_;
  std::mt19937 random_;
};

// Starts the real worker on `layout` in `intake`; what it says goes to `said`.
pid_t start_worker(const Layout& layout, const OwnStore& store, const Intake& intake, BorrowedFd said) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, said.get(), STDOUT_FILENO);
  std::vector<std::string> words = {ORLOP_IMAGE_PROGRAM,
                                    "--layout",
                                    layout.path(),
                                    "--out",
                                    store.directory.path() + "/" + intake.name,
                                    "--name",
                                    "worked"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  char* no_environment[] = {nullptr};
  // A group of its own, so that a kill takes mkfs.erofs along, as orlopd's kill of the cgroup does.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  need(::posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), no_environment) == 0);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return pid;
}

// Waits until the process ends or `after` is over, then kills its group, and reaps it. Whether it was still running.
bool kill_after(pid_t pid, std::chrono::microseconds after) {
  const UniqueFd process = need(sys::pidfd_open(pid));
  ::pollfd wait{.fd = process.get(), .events = POLLIN, .revents = 0};
  const timespec time{.tv_sec = after.count() / 1'000'000, .tv_nsec = after.count() % 1'000'000 * 1000};
  const bool running = ::ppoll(&wait, 1, &time, nullptr) == 0;
  (void)::kill(-pid, SIGKILL);  // the group may have ended by itself
  need(::waitpid(pid, nullptr, 0) == pid);
  return running;
}

}  // namespace

TEST_CASE("an adopted image is found by digest, by its beginning, by name and by reference", "[image][kernel]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.layer({{.name = "f", .content = "x"}});
  layout.write();
  const Record record = import(store, layout, {.name = "app"});
  const std::string digest = hex(record.manifest);
  CHECK(own.files().size() == 2);
  CHECK(need(store.find(record.manifest)) == record);
  for (const std::string& written : {std::string("app"), digest, "sha256:" + digest, digest.substr(0, 6),
                                     "sha256:" + digest.substr(0, 12), "other@sha256:" + digest})
    CHECK(need(store.find(written)) == record);
  CHECK(store.find("nope").error().kind == ErrorKind::not_found);
  CHECK(store.find(digest.substr(0, 5)).error().kind == ErrorKind::not_found);
  CHECK(store.find("app@sha256:" + std::string(64, '0')).error().kind == ErrorKind::not_found);
  CHECK(store.find("app@sha256:zz").error().kind == ErrorKind::config);
  CHECK(store.verify(record));
  CHECK(need(own.open().list()).images == std::vector<Record>{record});
}

TEST_CASE("a name of two images is refused with both of them", "[image][kernel]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.write();
  const Record first = import(store, layout, {.name = "app"});
  layout.layer({{.name = "f", .content = "x"}});
  layout.write();
  const Record second = import(store, layout, {.name = "app"});
  const Error error = store.find("app").error();
  CHECK(error.kind == ErrorKind::conflict);
  for (const Record& record : {first, second}) CHECK(sentence(error).contains(hex(record.manifest)));
}

TEST_CASE("an image taken in again replaces its seal; removed, it leaves nothing; mounts go on", "[image][kernel]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.layer({{.name = "f", .content = "x"}});
  layout.write();
  const Record first = import(store, layout, {.name = "app"});
  const UniqueFd mounted = need(mount_sealed(need(store.open_seal(first))));
  const Record second = import(store, layout, {.name = "app", .mkdir = {"/data"}});
  CHECK(second.manifest == first.manifest);
  CHECK(second.seal != first.seal);
  CHECK(own.files().size() == 2);
  CHECK(need(store.find("app")) == second);
  REQUIRE(store.remove(first.manifest));
  CHECK(own.files().empty());
  CHECK(store.remove(first.manifest).error().kind == ErrorKind::not_found);
  CHECK(need(read_file(mounted, "f", 10)) == "x");
}

TEST_CASE("what a worker left is not adopted unless it is whole", "[image][kernel][T75]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.write();
  const auto adopted_after = [&](auto change) {
    Intake intake = need(store.begin(0, 0));
    need(take(layout.source(), intake.directory));
    change(intake.directory);
    const Result<Record> record = store.adopt(std::move(intake), Replace::refused);
    CHECK(own.files().empty() == !record);
    return record.has_value();
  };
  CHECK_FALSE(adopted_after([](BorrowedFd d) { need(remove_tree(d, "record.json")); }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) { need(remove_tree(d, "image.erofs")); }));
  CHECK_FALSE(
      adopted_after([](BorrowedFd d) { need(replace_file(d, "record.json", "{}", Durability::until_reboot)); }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) { need(replace_file(d, "image.erofs", "x", Durability::until_reboot)); }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) {
    need(remove_tree(d, "image.erofs"));
    need(::symlinkat("/dev/zero", d.get(), "image.erofs") == 0);
  }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) {
    need(remove_tree(d, "record.json"));
    need(::mkfifoat(d.get(), "record.json", 0600) == 0);
  }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) { need(remove_tree(d, "manifest.json")); }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) {
    need(remove_tree(d, "manifest.json"));
    need(::mkfifoat(d.get(), "manifest.json", 0600) == 0);
  }));
  CHECK_FALSE(adopted_after([](BorrowedFd d) {
    need(replace_file(d, "manifest.json", std::string(max_manifest_bytes + 1, ' '), Durability::until_reboot));
  }));
  CHECK(adopted_after([](BorrowedFd) {}));
}

TEST_CASE("a worker cannot pass its image off as another one that the store has", "[image][kernel][T75]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.layer({{.name = "f", .content = "mine"}});
  layout.write();
  const Record victim = import(store, layout, {.name = "victim"});
  const std::string manifest = print_json(layout.manifest());
  const std::vector<std::string> before = own.files();
  layout.layer({{.name = "f", .content = "evil"}});
  layout.write();
  const auto claim = [&](auto change) {
    Intake intake = need(store.begin(0, 0));
    Record record = need(take(layout.source(), intake.directory));
    change(record, intake.directory);
    need(replace_file(intake.directory, "record.json", to_json(record), Durability::until_reboot));
    const Result<Record> adopted = store.adopt(std::move(intake), Replace::refused);
    CHECK(own.files() == before);
    CHECK(need(store.find(victim.manifest)) == victim);
    need(store.verify(victim));
    REQUIRE_FALSE(adopted);
    return adopted.error().kind;
  };
  const auto pad_to_victim = [&](BorrowedFd directory) {
    const UniqueFd seal = need(sys::open_beneath(directory, "image.erofs", O_WRONLY));
    need(::ftruncate(seal.get(), static_cast<off_t>(victim.seal_size.count)) == 0);
  };
  CHECK(claim([&](Record& record, BorrowedFd directory) {  // its seal
          record.seal = victim.seal;
          record.seal_size = victim.seal_size;
          pad_to_victim(directory);
        }) == ErrorKind::corrupt);
  CHECK(claim([&](Record& record, BorrowedFd) { record.manifest = victim.manifest; }) == ErrorKind::corrupt);
  CHECK(claim([&](Record& record, BorrowedFd directory) {  // its manifest, having the bytes
          record.manifest = victim.manifest;
          need(replace_file(directory, "manifest.json", manifest, Durability::until_reboot));
        }) == ErrorKind::conflict);
}

TEST_CASE("the seal of an image that is there may be claimed by whoever has its bytes, but stays the same file",
          "[image][kernel]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.write();
  const Record first = import(store, layout, {.name = "app"});
  const auto inode = [&] {
    struct stat status{};
    need(::fstat(need(store.open_seal(first)).get(), &status) == 0);
    return status.st_ino;
  };
  const ino_t before = inode();
  CHECK(need(try_import(store, layout, {.name = "again"}, Replace::refused)).name == "again");
  CHECK(need(store.find(first.manifest)).seal == first.seal);
  CHECK(inode() == before);
}

TEST_CASE("another seal of an image that is there needs the caller's word", "[image][kernel]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  layout.write();
  const Record first = import(store, layout, {.name = "app"});
  const Request other = {.name = "app", .mkdir = {"/data"}};
  const Result<Record> refused = try_import(store, layout, other, Replace::refused);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::conflict);
  CHECK(sentence(refused.error()).contains(hex(first.manifest)));
  CHECK(need(store.find("app")) == first);
  const Record second = need(try_import(store, layout, other, Replace::allowed));
  CHECK(need(store.find("app")) == second);
}

TEST_CASE("a record that is torn or of another version is named and left alone, and so are all seals",
          "[image][kernel]") {
  const OwnStore own;
  Layout layout;
  layout.write();
  {
    Store store = own.open();
    (void)import(store, layout, {.name = "app"});
  }
  const std::string torn = "sha256-" + std::string(64, '0') + ".json";
  need(replace_file(own.directory.fd(), torn, "{\"vers", Durability::until_reboot));
  need(replace_file(own.directory.fd(), std::string(64, '1') + ".erofs", "x", Durability::until_reboot));
  const Store store = own.open();
  const Listing listing = need(store.list());
  CHECK(listing.images.size() == 1);
  REQUIRE(listing.broken.size() == 1);
  CHECK(sentence(listing.broken[0]).contains(torn));
  CHECK(own.files().size() == 4);
}

TEST_CASE("the worker program tells its steps, and its result is adopted", "[image][kernel]") {
  const OwnStore own;
  Store store = own.open();
  Layout layout;
  fill(layout, 10, 100);
  Intake intake = need(store.begin(0, 0));
  sys::Pipe said = need(sys::pipe());
  const pid_t pid = start_worker(layout, own, intake, said.write);
  said.write.reset();
  const std::string text = need(read_all(said.read, 1U << 20));
  int status = -1;
  need(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  std::vector<WorkerLine> lines;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    lines.push_back(need(parse_worker_line(std::string_view(text).substr(at, text.find('\n', at) - at))));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].message == "layer 1/1");
  CHECK(lines[2].kind == WorkerLine::Kind::sealed);
  const Record record = need(store.adopt(std::move(intake), Replace::refused));
  CHECK(lines[2].message == image::text(Reference{.name = record.name, .manifest = record.manifest}));
}

TEST_CASE("a worker killed at any moment leaves the store as it was", "[image][kernel][T75]") {
  const OwnStore own;
  Layout layout;
  layout.write();
  std::vector<std::string> before;
  {
    Store store = own.open();
    (void)import(store, layout, {.name = "kept"});
    before = own.files();
  }
  fill(layout, 400, 20'000);
  const UniqueFd nowhere = need(sys::open("/dev/null", O_WRONLY));
  const auto run = [&](std::chrono::microseconds until) {
    Store store = own.open();
    REQUIRE(own.files() == before);
    const Intake intake = need(store.begin(0, 0));
    return kill_after(start_worker(layout, own, intake, nowhere), until);
  };
  const BootTime began = BootClock::now();
  REQUIRE_FALSE(run(std::chrono::seconds(30)));
  KillMoments moments(BootClock::now() - began, 1);
  int killed = 0;
  for (int round = 0; round < 40; ++round)
    if (run(moments.next())) ++killed;
  (void)own.open();
  CHECK(own.files() == before);
  CHECK(killed > 10);  // the control: kills did hit
}

TEST_CASE("a supervisor killed at any moment of an import leaves whole images only", "[image][kernel]") {
  const OwnStore own;
  Layout layout;
  fill(layout, 20, 1000);
  const auto run = [&](std::chrono::microseconds until) {
    const pid_t pid = ::fork();
    need(pid >= 0);
    if (pid == 0) {
      (void)::setpgid(0, 0);
      Store store = own.open();
      for (const char* name : {"one", "two", "three"}) {
        (void)import(store, layout, {.name = name, .mkdir = {std::string("/") + name}});
      }
      (void)store.remove(import(store, layout).manifest);
      ::_exit(0);
    }
    (void)::setpgid(pid, pid);  // whoever is first
    return kill_after(pid, until);
  };
  const BootTime began = BootClock::now();
  REQUIRE_FALSE(run(std::chrono::seconds(30)));
  KillMoments moments(BootClock::now() - began, 2);
  int killed = 0;
  int adopted = 0;
  for (int round = 0; round < 40; ++round) {
    if (run(moments.next())) ++killed;
    const Store store = own.open();
    const Listing listing = need(store.list());
    REQUIRE(listing.broken.empty());
    REQUIRE(own.files().size() == 2 * listing.images.size());
    for (const Record& record : listing.images) {
      ++adopted;
      need(store.verify(record));
    }
  }
  CHECK(killed > 10);
  CHECK(adopted > 5);
}
