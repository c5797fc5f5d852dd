#include "supervisor/sealed_images.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys.hpp"
#include "image/mount.hpp"

namespace orlop::supervisor {

Result<BorrowedFd> IdmapNamespaces::get(sandbox::IdRange range, std::uint32_t inside) {
  const std::pair key{range.first, inside};
  if (const auto found = made_.find(key); found != made_.end()) return BorrowedFd(found->second);
  Result<UniqueFd> made = sandbox::make_userns(range, inside);
  if (!made) return pass(std::move(made));
  return BorrowedFd(made_.emplace(key, std::move(*made)).first->second);
}

Result<UniqueFd> SealedImages::clone(const image::Record& record, sandbox::IdRange range, IdmapNamespaces& idmaps) {
  Result<BorrowedFd> whole = attached(record);
  if (!whole) return pass(std::move(whole));
  Result<UniqueFd> own = sys::clone_mount(*whole, "", false);
  if (!own) return own;
  Result<BorrowedFd> idmap = idmaps.get(range);
  if (!idmap) return pass(std::move(idmap));
  if (Result<void> mapped = sys::set_mount_attributes(*own, 0, 0, false, idmap->get()); !mapped)
    return pass(std::move(mapped));
  return own;
}

bool SealedImages::holds_directory(const image::Record& record, const std::string& target) {
  const Result<BorrowedFd> root = attached(record);
  return root && sys::open_without_links(*root, target.substr(1), O_PATH | O_DIRECTORY);
}

Result<BorrowedFd> SealedImages::attached(const image::Record& record) {
  if (const auto found = attached_.find(record.seal); found != attached_.end()) return BorrowedFd(found->second);
  const std::string place = "images/" + hex(record.seal);
  if (::mkdirat(root_.get(), place.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(errno, "mkdirat", "cannot make a mount point for the image");
  Result<UniqueFd> directory = sys::open_beneath(root_, place, O_PATH | O_DIRECTORY);
  if (!directory) return pass(std::move(directory));
  // A predecessor has attached it already if the place is on another file system than the view itself.
  struct stat here{};
  struct stat view{};
  if (::fstat(directory->get(), &here) != 0 || ::fstat(root_.get(), &view) != 0)
    return fail_errno(errno, "fstat", "cannot look at the image's mount point");
  if (here.st_dev == view.st_dev) {
    Result<UniqueFd> seal = store_.open_seal(record);
    if (!seal) return pass(std::move(seal));
    Result<UniqueFd> mount = image::mount_sealed(*seal);
    if (!mount) return pass(std::move(mount));
    if (Result<void> attached = sys::attach_mount(*mount, root_, place.c_str()); !attached)
      return pass(std::move(attached));
    directory = std::move(mount);
  }
  return BorrowedFd(attached_.emplace(record.seal, std::move(*directory)).first->second);
}

Result<void> SealedImages::detach(const image::Record& record) {
  attached_.erase(record.seal);
  const std::string place = "/images/" + hex(record.seal);
  if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
    return fail_errno(errno, "umount2", "cannot detach the image");
  if (::rmdir(place.c_str()) != 0 && errno != ENOENT)
    return fail_errno(errno, "rmdir", "cannot remove the image's mount point");
  return {};
}

}  // namespace orlop::supervisor
