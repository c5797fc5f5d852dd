// Against the tools that people make images with: what they write is read, and what umoci unpacks is what is sealed.
#include <catch2/catch.hpp>

#include "tests/kernel/image/sealed.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

// The trees must be one: all that umoci unpacked, and the standard mount points beside it.
void check_same(const Sealed& sealed, const std::string& rootfs) {
  const std::map<std::string, std::string> ours = describe(sealed.root);
  const std::map<std::string, std::string> theirs = describe(need(sys::open(rootfs, O_RDONLY | O_DIRECTORY)));
  CHECK(theirs.size() > 5);
  for (const auto& [path, text] : theirs) {
    INFO(path);
    CHECK((ours.contains(path) ? ours.at(path) : "missing") == text);
  }
  for (const auto& [path, text] : ours) {
    INFO(path);
    const auto& points = sealed.record.mount_points;
    const bool standard = path == "/etc" || std::ranges::find(points, path) != points.end();
    CHECK((standard || theirs.contains(path)));
  }
}

}  // namespace

TEST_CASE("whiteouts give the tree that umoci unpacks", "[image][kernel][T44]") {
  Layout layout;
  layout.layer({{.name = "a/", .type = '5', .mode = 0755},
                {.name = "a/1", .content = "1"},
                {.name = "a/sub/", .type = '5', .mode = 0700, .uid = 5},
                {.name = "a/sub/2", .content = "2", .mode = 04755, .uid = 7},
                {.name = "b/", .type = '5', .mode = 0711},
                {.name = "b/3", .content = "3"},
                {.name = "b/hard", .type = '1', .link = "b/3"},
                {.name = "c", .type = '2', .link = "b"},
                {.name = "pipe", .type = '6'},
                {.name = "x/", .type = '5', .mode = 0755},
                {.name = "x/y", .content = "y"}});
  layout.layer({{.name = "a/.wh.1"}, {.name = "b/.wh..wh..opq"}, {.name = "b/4", .content = "4"}, {.name = ".wh.pipe"}},
               Packing::none);
  layout.layer({{.name = "c/5", .content = "through a link of a lower layer"},
                {.name = ".wh.never"},
                {.name = "x", .content = "a file now"},
                {.name = "a/sub/", .type = '5', .mode = 0750, .uid = 6}});
  layout.write();
  const TemporaryDirectory place;
  run(fmt::format("umoci unpack --image {}:test {}/bundle", layout.path(), place.path()));
  check_same(Sealed(layout), place.path() + "/bundle/rootfs");
}

TEST_CASE("layers that umoci itself wrote are sealed as it unpacks them", "[image][kernel]") {
  const TemporaryDirectory place;
  const std::string image = place.path() + "/layout";
  const std::string change =
      fmt::format("cd {} && rm -rf b && umoci unpack --image {}:latest b && cd b/rootfs && ", place.path(), image);
  const std::string repack = fmt::format(" && umoci repack --image {}:latest {}/b", image, place.path());
  run(fmt::format("umoci init --layout {0} && umoci new --image {0}:latest", image));
  run(change +
      "mkdir -p bin etc d/e && cp /bin/busybox bin && ln bin/busybox bin/sh && echo r:x:1:1 > etc/passwd && "
      "touch d/e/f d/g && mkdir -p m/n && touch m/n/o && mkfifo p && ln -s ../x l && chown 33:44 d/g && chmod 2775 d" +
      repack);
  run(change + "rm -r d/e && rm l && mkdir l && touch l/new && chmod 600 etc/passwd && rm bin/sh" + repack);
  run(change + "rm -r d m && echo d > d && ln -s l m && truncate -s 3M hole" + repack);
  run(
      fmt::format("umoci config --image {}:latest --config.user 1 --config.entrypoint sh --config.cmd -c --config.cmd "
                  "'exit 3' --config.env A=b --config.workingdir /d --config.stopsignal SIGINT --config.volume /v",
                  image));
  run(fmt::format("cd {} && rm -rf b && umoci unpack --image {}:latest b", place.path(), image));
  const Sealed sealed(Source::directory(need(sys::open(image, O_RDONLY | O_DIRECTORY))));
  check_same(sealed, place.path() + "/b/rootfs");
  CHECK(sealed.record.entrypoint == std::vector<std::string>{"sh"});
  CHECK(sealed.record.command == std::vector<std::string>{"-c", "exit 3"});
  CHECK(sealed.record.user == Identity{.uid = 1, .gid = 1, .written = "1"});
  CHECK(sealed.record.stop_signal == SIGINT);
  CHECK(sealed.record.volumes == std::vector<std::string>{"/v"});
  CHECK(sealed.record.workdir == "/d");
}

TEST_CASE("an image is the same whether skopeo copies it as a directory, an archive, gzip or zstd", "[image][kernel]") {
  Layout layout;
  layout.layer({{.name = "f", .content = std::string(100'000, 'f')}}, Packing::none);
  layout.write();
  const TemporaryDirectory place;
  const std::string copy = "skopeo copy --insecure-policy oci:" + layout.path() + ":test ";
  run(copy + "oci-archive:" + place.path() + "/plain.tar:example.net/app:1");
  run(copy + "--dest-compress --dest-compress-format zstd oci:" + place.path() + "/zstd:z");
  run(copy + "--dest-compress --dest-compress-format gzip oci-archive:" + place.path() + "/gzip.tar:g");
  const auto archive = [&](const std::string& name) {
    return need(Source::archive(need(sys::open(place.path() + "/" + name, O_RDONLY))));
  };
  const Record original = Sealed(layout).record;
  const Record plain = Sealed(archive("plain.tar")).record;
  CHECK(plain.seal == original.seal);
  CHECK(plain.name == "example.net/app:1");
  CHECK(Sealed(archive("gzip.tar")).record.seal == original.seal);
  CHECK(Sealed(Source::directory(need(sys::open(place.path() + "/zstd", O_RDONLY | O_DIRECTORY)))).record.seal ==
        original.seal);
}

TEST_CASE("an image that buildah builds from nothing is taken in", "[image][kernel]") {
  const TemporaryDirectory place;
  const std::string buildah =
      fmt::format("buildah --storage-driver vfs --root {0}/root --runroot {0}/run ", place.path());
  run(
      fmt::format("cd {} && mkdir c && cp /bin/busybox c/ && printf 'FROM scratch\\nCOPY busybox /bin/busybox\\n"
                  "ENV A=b C=d\\nUSER 7:8\\nVOLUME /data\\nHEALTHCHECK CMD [\"/bin/busybox\",\"true\"]\\n"
                  "ENTRYPOINT [\"/bin/busybox\"]\\nCMD [\"sleep\",\"1\"]\\n' > c/Containerfile && "
                  "{} bud --format oci --isolation chroot -t app c && {} push app oci-archive:{}/app.tar:app",
                  place.path(), buildah, buildah, place.path()));
  const Sealed sealed(need(Source::archive(need(sys::open(place.path() + "/app.tar", O_RDONLY)))));
  CHECK(sealed.has("bin/busybox"));
  CHECK(sealed.has("data"));
  CHECK(sealed.record.user == Identity{.uid = 7, .gid = 8, .written = "7:8"});
  CHECK(sealed.record.command == std::vector<std::string>{"sleep", "1"});
}
