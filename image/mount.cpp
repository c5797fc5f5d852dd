#include "image/mount.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/sys.hpp"

namespace orlop::image {
namespace {

constexpr int max_loop_devices = 256;

Result<UniqueFd> mount_erofs(const std::string& source) {
  // "ro" before the superblock exists: a read-only device cannot be opened for writing.
  const std::array options{sys::FsOption{.key = "source", .value = source}, sys::FsOption{.key = "ro", .value = {}}};
  return sys::new_mount("erofs", options, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
}

// Ties `file` to the loop device `number`. kernel/EBUSY when someone else has it, kernel/ENOENT without a node.
Result<UniqueFd> configure(int number, BorrowedFd file) {
  Result<UniqueFd> device = sys::open(fmt::format("/dev/loop{}", number), O_RDONLY);
  if (!device) return device;
  ::loop_config config{};
  config.fd = static_cast<__u32>(file.get());
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  if (::ioctl(device->get(), LOOP_CONFIGURE, &config) != 0)
    return fail_errno(errno, "ioctl(LOOP_CONFIGURE)", fmt::format("cannot use /dev/loop{}", number));
  return device;
}

bool is_taken_or_missing(const Error& error) {
  return error.errno_value == EBUSY || error.errno_value == ENOENT || error.errno_value == ENXIO;
}

}  // namespace

Result<UniqueFd> mount_file(BorrowedFd file) {
  return mount_erofs(fmt::format("/proc/self/fd/{}", file.get()));
}

Result<UniqueFd> mount_by_loop(BorrowedFd file) {
  const auto mount = [&](int number) -> Result<UniqueFd> {
    // Open until the mount holds the device: it clears itself at the last close.
    Result<UniqueFd> device = configure(number, file);
    if (!device) return device;
    return mount_erofs(fmt::format("/dev/loop{}", number));
  };
  // The kernel names a free device, and makes one if need be; others may be faster, and in a private /dev its node may
  // be missing. Then any device whose node is there will do.
  if (const Result<UniqueFd> control = sys::open("/dev/loop-control", O_RDWR); control) {
    for (int tries = 0; tries < 16; ++tries) {
      const int number = ::ioctl(control->get(), LOOP_CTL_GET_FREE);
      if (number < 0) break;
      Result<UniqueFd> mounted = mount(number);
      if (mounted || !is_taken_or_missing(mounted.error())) return mounted;
      if (mounted.error().errno_value == ENOENT) break;
    }
  }
  for (int number = 0; number < max_loop_devices; ++number) {
    Result<UniqueFd> mounted = mount(number);
    if (mounted || !is_taken_or_missing(mounted.error())) return mounted;
  }
  return fail(ErrorKind::unsupported, "no free loop device has a node in /dev",
              "load the module 'loop', or give orlop's /dev more loop nodes");
}

Result<UniqueFd> mount_sealed(BorrowedFd file) {
  Result<UniqueFd> mounted = mount_file(file);
  if (!mounted && mounted.error().errno_value == ENOTBLK) mounted = mount_by_loop(file);
  if (!mounted) return fail(std::move(mounted), "cannot mount the sealed image");
  return mounted;
}

}  // namespace orlop::image
