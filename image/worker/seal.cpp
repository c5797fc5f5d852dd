#include "image/worker/seal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "image/path.hpp"

namespace orlop::image {
namespace {

constexpr const char* program = "/usr/bin/mkfs.erofs";
// "orlopiMasealed" in hexadecimal: any fixed value does, since nothing mounts these by UUID.
constexpr const char* uuid = "6f726c6f-7069-4d61-8765-7365616c6564";
// mkfs.erofs 1.5 sets every time to that of -T, but to this variable only those that lie beyond it. So files keep the
// times of the image (Python compares them, web servers make ETags of them), and the file system's own is fixed.
constexpr const char* epoch = "SOURCE_DATE_EPOCH=4294967295";

struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() noexcept { (void)::posix_spawn_file_actions_init(&value); }  // cannot fail with glibc
  ~FileActions() { (void)::posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

Result<int> wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail_errno(errno, "waitpid", "cannot wait for mkfs.erofs");
  return status;
}

// The end of what mkfs.erofs says; its usage text follows the reason on a failure, so that its first line is told.
Result<std::string> first_line(BorrowedFd output) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t got = ::read(output.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read", "cannot hear mkfs.erofs");
    if (got == 0) break;
    if (text.size() < buffer.size()) text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return printable(std::string_view(text).substr(0, std::min<std::size_t>(text.find('\n'), 300)));
}

Result<void> run_mkfs(BorrowedFd directory, const std::string& tree, const std::string& file) {
  Result<sys::Pipe> output = sys::pipe();
  if (!output) return pass(std::move(output));
  FileActions actions;
  ::posix_spawn_file_actions_addfchdir_np(&actions.value, directory.get());
  ::posix_spawn_file_actions_adddup2(&actions.value, output->write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions.value, output->write.get(), STDERR_FILENO);
  std::vector<std::string> words = {program, "--quiet", "-U", uuid, file, tree};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string setting = epoch;
  const std::array<char*, 2> environment{setting.data(), nullptr};
  pid_t child = -1;
  if (const int error = ::posix_spawn(&child, program, &actions.value, nullptr, argv.data(), environment.data());
      error != 0) {
    if (error == ENOENT)
      return fail(ErrorKind::unsupported, fmt::format("there is no {}", program), "install the package erofs-utils");
    return fail_errno(error, "posix_spawn", fmt::format("cannot start {}", program));
  }
  output->write.reset();
  const Result<std::string> said = first_line(output->read);
  Result<int> status = wait_for(child);
  if (!status) return pass(std::move(status));
  if (*status == 0) return {};
  if (WIFSIGNALED(*status))
    return fail(ErrorKind::limit, fmt::format("mkfs.erofs was killed by signal {}", WTERMSIG(*status)),
                "if that is SIGKILL, the image needs more memory or time than an intake may use");
  return fail(ErrorKind::internal, fmt::format("mkfs.erofs failed: {}", said.value_or("")));
}

}  // namespace

Result<Seal> seal_tree(BorrowedFd directory, const std::string& tree, const std::string& file) {
  if (Result<void> made = run_mkfs(directory, tree, file); !made) return fail(std::move(made), "cannot seal the image");
  Result<UniqueFd> sealed = sys::open_beneath(directory, file, O_RDONLY | O_NOFOLLOW);
  if (!sealed) return fail(std::move(sealed), "cannot read the sealed image");
  Sha256Stream hash;
  Seal seal;
  std::vector<char> buffer(256UL << 10);
  for (;;) {
    const ssize_t got = ::read(sealed->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "read", "cannot read the sealed image");
    if (got == 0) break;
    hash.update({buffer.data(), static_cast<std::size_t>(got)});
    seal.size.count += static_cast<std::uint64_t>(got);
  }
  if (::fdatasync(sealed->get()) != 0) return fail_errno(errno, "fdatasync", "cannot sync the sealed image");
  seal.digest = hash.finish();
  return seal;
}

}  // namespace orlop::image
