// The worker with no more rights than orlopd's jail gives it: a user namespace of its own, and in it five
// capabilities. (The whole jail, with mounts and seccomp, is the supervisor's to test.)
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "tests/kernel/image/sealed.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

constexpr std::uint32_t first_id = 1'000'013'824;
constexpr std::uint32_t owners = 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER;
constexpr std::uint32_t needed = owners | 1U << CAP_FSETID | 1U << CAP_SETFCAP;

// In the child: keeps `capabilities` alone, in all five sets, and becomes the worker. Returns only on failure.
void become_worker(std::uint32_t capabilities, const std::string& layout, const std::string& out) {
  if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) return;
  constexpr unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP;
  if (::prctl(PR_SET_SECUREBITS, bits) != 0) return;
  for (unsigned long each = 0; ::prctl(PR_CAPBSET_READ, each) >= 0; ++each)
    if (each > 31 || (capabilities >> each & 1U) == 0) (void)::prctl(PR_CAPBSET_DROP, each);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {{.effective = capabilities, .permitted = capabilities, .inheritable = capabilities},
                                    {}};
  if (::syscall(SYS_capset, &header, sets) != 0) return;
  for (unsigned long each = 0; each < 32; ++each)
    if ((capabilities >> each & 1U) != 0 && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, each, 0, 0) != 0) return;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  ::execl(ORLOP_IMAGE_PROGRAM, "orlop-image", "--layout", layout.c_str(), "--out", out.c_str(), nullptr);
}

// The record, or nothing when the worker refused the image.
std::optional<Record> take_in_jail(const Layout& layout, std::uint32_t capabilities) {
  const TemporaryDirectory place;
  need(::fchmod(place.fd().get(), 0711) == 0);
  need(::fchmod(layout.fd().get(), 0755) == 0);
  const UniqueFd out = need(make_directory(place.fd(), "out", 0700));
  need(::fchown(out.get(), first_id, first_id) == 0);
  sys::Pipe ready = need(sys::pipe());
  sys::Pipe gate = need(sys::pipe());
  const pid_t pid = ::fork();
  need(pid >= 0);
  if (pid == 0) {
    char byte = 0;
    if (::unshare(CLONE_NEWUSER) == 0 && ::write(ready.write.get(), "x", 1) == 1 &&
        ::read(gate.read.get(), &byte, 1) == 1)
      become_worker(capabilities, layout.path(), place.path() + "/out");
    ::_exit(99);
  }
  char byte = 0;
  need(::read(ready.read.get(), &byte, 1) == 1);
  for (const char* file : {"uid_map", "gid_map"}) {
    const UniqueFd map = need(sys::open(fmt::format("/proc/{}/{}", pid, file), O_WRONLY));
    need(write_all(map, fmt::format("0 {} 65536", first_id)));
  }
  need(write_all(gate.write, "x"));
  int status = -1;
  need(::waitpid(pid, &status, 0) == pid);
  if (status != 0) return std::nullopt;
  return need(from_json(need(read_file(out, std::string(record_name), max_record_bytes))));
}

void fill_with_variety(Layout& layout) {
  const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  layout.layer({{.name = "d/", .type = '5', .mode = 0, .uid = 1, .gid = 2},
                {.name = "d/secret", .content = "x", .mode = 0, .uid = 65535, .gid = 3},
                {.name = "su", .content = "x", .mode = 06755, .uid = 4, .gid = 5},
                {.name = "pipe", .type = '6', .uid = 6},
                {.name = "l", .type = '2', .uid = 7, .link = "su"},
                {.name = "note", .content = "x", .pax = {{"SCHILY.xattr.user.a", "b"}}},
                {.name = "ping", .content = "x", .uid = 9, .pax = {{"SCHILY.xattr.security.capability", capability}}}});
  layout.layer({{.name = "d/.wh.secret"}, {.name = "d/other", .type = '1', .link = "su"}});
  layout.write();
}

}  // namespace

TEST_CASE("in a user namespace with five capabilities of its own the worker seals the very same bytes",
          "[image][kernel][T75]") {
  Layout layout;
  fill_with_variety(layout);
  CHECK(take_in_jail(layout, needed) == Sealed(layout).record);
}

TEST_CASE("a jail that could not keep a setgid bit or a file capability gets no seal", "[image][kernel][T45]") {
  Layout layout;
  fill_with_variety(layout);
  CHECK_FALSE(take_in_jail(layout, needed & ~(1U << CAP_FSETID)));
  CHECK_FALSE(take_in_jail(layout, needed & ~(1U << CAP_SETFCAP)));
  Layout plain;
  plain.layer({{.name = "su", .content = "x", .mode = 04755, .uid = 4, .gid = 5}});
  plain.write();
  CHECK(take_in_jail(plain, owners) == Sealed(plain).record);  // the control: these need neither
}
