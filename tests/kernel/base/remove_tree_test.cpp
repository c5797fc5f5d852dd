#include <catch2/catch.hpp>

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "tests/need.hpp"
#include "tests/temporary_directory.hpp"

using namespace orlop;

namespace {

// A directory of the same file system mounted on another one: only the mount tells them apart.
class BindMount {
 public:
  BindMount(const std::string& source, std::string target) : target_(std::move(target)) {
    need(::mount(source.c_str(), target_.c_str(), nullptr, MS_BIND, nullptr) == 0);
  }
  ~BindMount() { (void)::umount2(target_.c_str(), MNT_DETACH); }
  BindMount(const BindMount&) = delete;
  BindMount& operator=(const BindMount&) = delete;

 private:
  std::string target_;
};

}  // namespace

TEST_CASE("a removal crosses no mount, not even one of the same file system, and says which it met", "[base][kernel]") {
  const TemporaryDirectory directory;
  const UniqueFd kept = need(make_directory(directory.fd(), "kept", 0700));
  need(replace_file(kept, "file", "x", Durability::until_reboot));
  const UniqueFd tree = need(make_directory(directory.fd(), "tree", 0700));
  need(make_directory(tree, "mounted", 0700));
  {
    const BindMount mount(directory.path() + "/kept", directory.path() + "/tree/mounted");
    const Result<void> refused = remove_tree(directory.fd(), "tree");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::conflict);
    CHECK(sentence(refused.error()).contains("'mounted' is a mount"));
    CHECK_FALSE(remove_tree(tree, "mounted"));
  }
  CHECK(need(read_file(kept, "file", 10)) == "x");
  CHECK(remove_tree(directory.fd(), "tree"));
}
