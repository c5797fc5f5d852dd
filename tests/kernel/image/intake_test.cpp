#include "image/worker/intake.hpp"

#include <catch2/catch.hpp>

#include "tests/kernel/image/sealed.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

// A file capability as the kernel keeps it (struct vfs_cap_data): version 2, effective, CAP_NET_RAW permitted.
const std::string raw_capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                                 20);

}  // namespace

TEST_CASE("layers of every packing are applied in order, with owners, modes and times", "[image][kernel]") {
  Layout layout;
  layout.layer({{.name = "etc/", .type = '5', .mode = 0755},
                {.name = "etc/app", .content = "one", .mode = 0640, .uid = 33, .gid = 65535},
                {.name = "gone", .content = "x"},
                {.name = "link", .type = '2', .link = "../../etc/app"},
                {.name = "pipe", .type = '6', .mode = 0622},
                {.name = "a/b/deep", .content = "made parents"}},
               Packing::none);
  layout.layer({{.name = "etc/app2", .type = '1', .link = "etc/app"}, {.name = ".wh.gone"}}, Packing::gzip);
  layout.layer({{.name = "./etc/app3", .content = "three", .mtime = 2'000'000'000}}, Packing::zstd);
  layout.write();
  const Sealed sealed(layout);
  CHECK(sealed.read("etc/app") == "one");
  CHECK(sealed.read("etc/app2") == "one");
  CHECK(sealed.read("etc/app3") == "three");
  CHECK(sealed.read("a/b/deep") == "made parents");
  CHECK_FALSE(sealed.has("gone"));
  CHECK(sealed.status("etc/app").st_mode == (S_IFREG | 0640));
  CHECK(sealed.status("etc/app").st_uid == 33);
  CHECK(sealed.status("etc/app").st_gid == 65535);
  CHECK(sealed.status("etc/app").st_nlink == 2);
  CHECK(sealed.status("etc/app3").st_mtim.tv_sec == 2'000'000'000);
  CHECK(sealed.status("etc").st_mtim.tv_sec == 1'000'000'000);  // not when files were put into it
  CHECK(sealed.status("a/b").st_mtim.tv_sec == 0);
  CHECK(sealed.status("pipe").st_mode == (S_IFIFO | 0622));
  CHECK(S_ISLNK(sealed.status("link").st_mode));
}

TEST_CASE("whiteouts hide lower layers only, wherever they stand in their own", "[image][kernel][T44]") {
  Layout layout;
  layout.layer({{.name = "d/", .type = '5', .mode = 0755},
                {.name = "d/old", .content = "x"},
                {.name = "d/sub/old", .content = "x"},
                {.name = "e/old", .content = "x"},
                {.name = "f", .content = "x"},
                {.name = "g/keep", .content = "x"},
                {.name = "to-d", .type = '2', .link = "d"}});
  layout.layer({{.name = "d/new", .content = "kept"},
                {.name = "d/sub/new", .content = "kept"},
                {.name = "d/.wh..wh..opq"},
                {.name = "e/new", .content = "kept"},
                {.name = ".wh.e"},
                {.name = "f", .content = "kept"},
                {.name = ".wh.f"},
                {.name = "g/.wh.absent"},
                {.name = "absent/.wh.x"},
                {.name = "absent/.wh..wh..opq"},
                {.name = ".wh..wh.aufs", .content = "x"}});
  layout.layer({{.name = "to-d/.wh..wh..opq"}});
  layout.write();
  const Sealed sealed(layout);
  CHECK(sealed.has("g/keep"));
  CHECK(sealed.read("f") == "kept");
  CHECK(sealed.read("e/new") == "kept");
  CHECK_FALSE(sealed.has("e/old"));
  CHECK_FALSE(sealed.has("absent"));
  CHECK(S_ISLNK(sealed.status("to-d").st_mode));
  CHECK(need(list_directory(need(sys::open_beneath(sealed.root, "d", O_RDONLY)))).empty());

  layout.layers.erase(2);  // without the last layer
  layout.config["rootfs"]["diff_ids"].erase(2);
  layout.write();
  const Sealed two(layout);
  CHECK(two.read("d/new") == "kept");
  CHECK(two.read("d/sub/new") == "kept");
  CHECK_FALSE(two.has("d/old"));
  CHECK_FALSE(two.has("d/sub/old"));
}

TEST_CASE("an entry takes the place of what was there, whatever its type", "[image][kernel]") {
  Layout layout;
  layout.layer({{.name = "file", .content = "x"},
                {.name = "dir/inner/f", .content = "x"},
                {.name = "link", .type = '2', .link = "dir"},
                {.name = "same/", .type = '5', .mode = 0700, .pax = {{"SCHILY.xattr.user.old", "1"}}},
                {.name = "same/kept", .content = "kept"}});
  layout.layer({{.name = "file", .type = '5', .mode = 0755},
                {.name = "file/f", .content = "1"},
                {.name = "dir", .content = "2"},
                {.name = "link", .type = '5', .mode = 0755},
                {.name = "same/", .type = '5', .mode = 0751, .uid = 7}});
  layout.write();
  const Sealed sealed(layout);
  CHECK(sealed.read("file/f") == "1");
  CHECK(sealed.read("dir") == "2");
  CHECK(S_ISDIR(sealed.status("link").st_mode));
  CHECK(sealed.read("same/kept") == "kept");
  CHECK(sealed.status("same").st_mode == (S_IFDIR | 0751));
  CHECK(sealed.status("same").st_uid == 7);
  CHECK_FALSE(describe(sealed.root).at("/same").contains("user.old"));
}

TEST_CASE("what is dropped, and what is kept without effect, is reported", "[image][kernel][T45]") {
  Layout layout;
  layout.layer(
      {{.name = "dev/null", .type = '3', .mode = 0666},
       {.name = "dev/sda", .type = '4', .mode = 0660},
       {.name = "su", .content = "x", .mode = 04755},
       {.name = "write", .content = "x", .mode = 02755},
       {.name = "ping", .content = "x", .mode = 0755, .pax = {{"SCHILY.xattr.security.capability", raw_capability}}},
       {.name = "note", .content = "x", .pax = {{"SCHILY.xattr.user.note", "kept"}}},
       {.name = "bad", .content = "x", .pax = {{"SCHILY.xattr.trusted.overlay.opaque", "y"}}},
       {.name = "selinux", .content = "x", .pax = {{"SCHILY.xattr.security.selinux", "label"}}}});
  layout.write();
  const Sealed sealed(layout);
  CHECK_FALSE(sealed.has("dev/null"));
  CHECK(sealed.status("su").st_mode == (S_IFREG | 04755));
  CHECK(count_of(sealed.record, Finding::device_dropped) == 2);
  CHECK(count_of(sealed.record, Finding::setuid_inert) == 2);
  CHECK(count_of(sealed.record, Finding::capability_inert) == 1);
  CHECK(count_of(sealed.record, Finding::xattr_dropped) == 2);
  const std::map<std::string, std::string> tree = describe(sealed.root);
  CHECK(tree.at("/ping").contains("security.capability=" + hex(sha256(raw_capability))));
  CHECK(tree.at("/note").contains("user.note=" + hex(sha256("kept"))));
  CHECK_FALSE(tree.at("/bad").contains("trusted"));
  const Result<Record> back = from_json(need(read_file(sealed.out.fd(), std::string(record_name), max_record_bytes)));
  CHECK(need(Result<Record>(back)) == sealed.record);
}

TEST_CASE("the standard mount points, the volumes and --mkdir are there in every image", "[image][kernel]") {
  Layout layout;
  layout.config["config"]["Volumes"] = {{"/var/lib/app", Json::object()}, {"/etc", Json::object()}};
  layout.write();
  const Sealed sealed(layout, {.mkdir = {"/data//x/"}});
  CHECK(sealed.record.mount_points == std::vector<std::string>{"/data/x", "/dev", "/etc", "/etc/hostname", "/etc/hosts",
                                                               "/etc/resolv.conf", "/proc", "/run", "/sys", "/tmp",
                                                               "/var/lib/app"});
  for (const std::string& point : sealed.record.mount_points) CHECK(sealed.has(point.substr(1)));
  CHECK(sealed.status("tmp").st_mode == (S_IFDIR | 01777));
  CHECK(sealed.status("etc/hosts").st_mode == (S_IFREG | 0644));
  CHECK(sealed.read("etc/hosts") == "127.0.0.1\tlocalhost\n");
  CHECK(sealed.read("etc/hostname").empty());
  CHECK(sealed.record.report.empty());
}

TEST_CASE("a mount point that the image ships as a link is replaced, never followed, and reported",
          "[image][kernel][T01][T03]") {
  Layout layout;
  layout.config["config"]["Volumes"] = {{"/var/run/app", Json::object()}};
  layout.layer({{.name = "proc", .type = '2', .link = "/etc"},
                {.name = "dev", .content = "a file"},
                {.name = "run/", .type = '5', .mode = 0711, .uid = 5},
                {.name = "etc/resolv.conf", .type = '2', .link = "../run/systemd/resolve/stub-resolv.conf"},
                {.name = "etc/hosts", .content = "127.0.0.1 localhost\n"},
                {.name = "var/run", .type = '2', .link = "/run"}});
  layout.write();
  const Sealed sealed(layout);
  CHECK(S_ISDIR(sealed.status("proc").st_mode));
  CHECK(S_ISDIR(sealed.status("dev").st_mode));
  CHECK(sealed.status("run").st_mode == (S_IFDIR | 0711));
  CHECK(S_ISREG(sealed.status("etc/resolv.conf").st_mode));
  CHECK(sealed.read("etc/hosts") == "127.0.0.1 localhost\n");
  CHECK(S_ISLNK(sealed.status("var/run").st_mode));
  CHECK(count_of(sealed.record, Finding::mount_point_replaced) == 3);
  CHECK(count_of(sealed.record, Finding::mount_point_unusable) == 1);
  CHECK(std::ranges::find(sealed.record.mount_points, "/var/run/app") == sealed.record.mount_points.end());
}

TEST_CASE("--mkdir through a link or a file, and /etc as a link, are refused", "[image][kernel]") {
  Layout layout;
  layout.layer({{.name = "link", .type = '2', .link = "/etc"}, {.name = "file", .content = "x"}});
  layout.write();
  for (const std::string dir : {"/link/x", "/file", "/file/x", "relative", "/a/../b", "/"}) {
    INFO(dir);
    CHECK(sentence(refusal(layout, {.mkdir = {dir}})).contains("--mkdir"));
  }
  layout.layer({{.name = "etc", .type = '2', .link = "usr"}});
  layout.write();
  CHECK(sentence(refusal(layout)).contains("/etc"));
}

TEST_CASE("the image's own accounts name its user", "[image][kernel]") {
  Layout layout;
  layout.config["config"]["User"] = "app:ssl";
  layout.layer({{.name = "etc/passwd", .content = "root:x:0:0::/:\napp:x:1000:1001::/:\n"},
                {.name = "etc/group", .type = '2', .link = "../usr/group"},
                {.name = "usr/group", .content = "ssl:x:110:\n"}});
  layout.write();
  {
    const Sealed sealed(layout);
    CHECK(sealed.record.user == Identity{.uid = 1000, .gid = 110, .written = "app:ssl"});
    CHECK(sealed.record.users.size() == 2);
    CHECK(sealed.record.groups == std::vector<Group>{{"ssl", 110}});
  }
  layout.config["config"]["User"] = "stranger";
  layout.write();
  const Sealed sealed(layout);
  CHECK_FALSE(sealed.record.user);
  CHECK(sealed.record.user_problem.contains("'stranger'"));
}

TEST_CASE("account files that are no regular files, or lead out, are as if absent", "[image][kernel][T42]") {
  Layout layout;
  layout.layer(
      {{.name = "etc/passwd", .type = '6'}, {.name = "etc/group", .type = '2', .link = "/../../../../etc/group"}});
  layout.write();
  const Sealed sealed(layout);
  CHECK(sealed.record.users.empty());
  CHECK(sealed.record.groups.empty());
}

TEST_CASE("an image is called by --name, by its reference if that is a whole name, or by its file", "[image][kernel]") {
  Layout layout;
  layout.write("registry.example.net/app:1");
  CHECK(Sealed(layout).record.name == "registry.example.net/app:1");
  CHECK(Sealed(layout, {.name = "mine"}).record.name == "mine");
  layout.write("latest");
  CHECK(Sealed(layout, {.fallback_name = "app"}).record.name == "app");
  CHECK(refusal(layout, {.name = "No Name"}).kind == ErrorKind::config);
}

TEST_CASE("the same image gives the same bytes, from a directory, an archive and on another file system",
          "[image][kernel]") {
  Layout layout;
  std::vector<TarEntry> entries;
  for (int i = 0; i < 200; ++i)
    entries.push_back({.name = fmt::format("d{}/f{}", i % 7, (i * 37) % 200), .content = std::string(i * 10, 'x')});
  entries.push_back({.name = "d1/hard", .type = '1', .link = "d0/f0"});
  entries.push_back({.name = "note", .content = "x", .pax = {{"SCHILY.xattr.user.a", "1"}}});
  layout.layer(entries);
  layout.write();
  const Sealed first(layout);
  const Sealed second(layout);
  CHECK(first.record == second.record);
  CHECK(need(read_all(first.file, 64U << 20)) == need(read_all(second.file, 64U << 20)));

  const TemporaryDirectory place;
  run(fmt::format("tar -C {} -cf {}/image.tar .", layout.path(), place.path()));
  const Source archive = need(Source::archive(need(sys::open(place.path() + "/image.tar", O_RDONLY))));
  CHECK(Sealed(archive).record == first.record);

  const TmpfsDirectory tmpfs;
  Result<Record> elsewhere = take(layout.source(), tmpfs.fd());
  if (!elsewhere && elsewhere.error().chain.back().contains("attribute"))
    ORLOP_SKIP("this kernel's tmpfs keeps no user attributes");
  CHECK(need(std::move(elsewhere)) == first.record);
}
