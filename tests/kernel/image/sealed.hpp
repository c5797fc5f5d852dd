// Takes a test's layout in and looks at what was sealed.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "image/mount.hpp"
#include "image/staging.hpp"
#include "image/worker/intake.hpp"
#include "tests/need.hpp"
#include "tests/skip.hpp"
#include "tests/unit/image/oci_writer.hpp"

namespace orlop::image {

inline Result<Record> take(const Source& source, BorrowedFd out, const Request& request = {}) {
  return take_in(source, out, request, [](std::string_view) {});
}

/// A sealed image and its mount.
struct Sealed {
  explicit Sealed(const Source& source, const Request& request = {})
      : record(need(take(source, out.fd(), request))),
        file(need(sys::open_beneath(out.fd(), std::string(seal_name), O_RDONLY))),
        root(need(mount_sealed(file))) {}
  explicit Sealed(const Layout& layout, const Request& request = {}) : Sealed(layout.source(), request) {}

  /// The file's bytes.
  [[nodiscard]] std::string read(const std::string& path) const { return need(read_file(root, path, 1U << 20)); }
  [[nodiscard]] bool has(const std::string& path) const {
    struct stat status{};
    return ::fstatat(root.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  }
  [[nodiscard]] struct stat status(const std::string& path) const {
    struct stat status{};
    need(::fstatat(root.get(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0);
    return status;
  }

  TemporaryDirectory out;
  Record record;
  UniqueFd file;
  UniqueFd root;
};

/// A directory on a tmpfs of the test's own.
class TmpfsDirectory {
 public:
  TmpfsDirectory() {
    need(::mount("tmpfs", below_.path().c_str(), "tmpfs", 0, "mode=0755") == 0);
    fd_ = need(sys::open(below_.path(), O_RDONLY | O_DIRECTORY));
  }
  ~TmpfsDirectory() { (void)::umount2(below_.path().c_str(), MNT_DETACH); }
  TmpfsDirectory(const TmpfsDirectory&) = delete;
  TmpfsDirectory& operator=(const TmpfsDirectory&) = delete;
  [[nodiscard]] BorrowedFd fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return below_.path(); }

 private:
  TemporaryDirectory below_;
  UniqueFd fd_;
};

/// Why the layout is refused; fails the test if it is not, or if anything is left of it.
inline Error refusal(const Layout& layout, const Request& request = {}) {
  const TemporaryDirectory out;
  const Result<Record> record = take(layout.source(), out.fd(), request);
  REQUIRE_FALSE(record);
  CHECK(need(list_directory(out.fd())).empty());
  return record.error();
}

inline std::uint64_t count_of(const Record& record, Finding finding) {
  for (const ReportItem& item : record.report)
    if (item.finding == finding) return item.count;
  return 0;
}

/// All that lies below `directory`, each path with type, mode, owner, size, time of files, attributes, and content or
/// link.
inline void describe_below(BorrowedFd directory, const std::string& prefix, std::map<std::string, std::string>& into) {
  for (const std::string& name : need(list_directory(directory))) {
    struct stat status{};
    need(::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0);
    std::string text = fmt::format("{:o} {}:{}", status.st_mode, status.st_uid, status.st_gid);
    const std::string path = prefix + "/" + name;
    UniqueFd fd;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
      fd = need(sys::open_beneath(directory, name, O_RDONLY | O_NOFOLLOW));
    if (fd) {
      std::array<char, 4096> names{};
      std::array<char, 4096> value{};
      const ssize_t length = ::flistxattr(fd.get(), names.data(), names.size());
      std::string_view rest(names.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
      std::vector<std::string> attributes;
      for (; !rest.empty(); rest.remove_prefix(rest.find('\0') + 1)) {
        const std::string attribute(rest.substr(0, rest.find('\0')));
        const ssize_t size = ::fgetxattr(fd.get(), attribute.c_str(), value.data(), value.size());
        attributes.push_back(attribute + "=" + hex(sha256({value.data(), static_cast<std::size_t>(size)})));
      }
      std::ranges::sort(attributes);
      for (const std::string& attribute : attributes) text += " " + attribute;
    }
    if (S_ISREG(status.st_mode))
      text += fmt::format(" links={} {} {}", status.st_nlink, status.st_mtim.tv_sec,
                          hex(sha256(need(read_all(fd, 64U << 20)))));
    if (S_ISLNK(status.st_mode)) {
      std::array<char, 4096> link{};
      const ssize_t length = ::readlinkat(directory.get(), name.c_str(), link.data(), link.size());
      text += " -> " + std::string(link.data(), static_cast<std::size_t>(length));
    }
    into[path] = text;
    if (S_ISDIR(status.st_mode)) describe_below(fd, path, into);
  }
}

inline std::map<std::string, std::string> describe(BorrowedFd directory) {
  std::map<std::string, std::string> tree;
  describe_below(directory, "", tree);
  return tree;
}

/// Runs a command of the shell; the test ends if it fails.
inline void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) == 0);
}

}  // namespace orlop::image
