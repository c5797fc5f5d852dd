// Images whose author means harm (threats T42 to T48, T75): each refused by name, nothing outside touched, nothing
// left.
#include <catch2/catch.hpp>

#include "tests/kernel/image/sealed.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

// One layer of these entries: why it is refused.
std::string refused(const std::vector<TarEntry>& entries, const Limits& limits = {}) {
  Layout layout;
  layout.layer(entries);
  layout.write();
  return sentence(refusal(layout, {.limits = limits}));
}

}  // namespace

TEST_CASE("entries that lead out are refused by layer and name, and nothing outside changes", "[image][kernel][T42]") {
  const TemporaryDirectory outside;
  REQUIRE(replace_file(outside.fd(), "canary", "untouched", Durability::until_reboot));
  const std::string canary = outside.path() + "/canary";

  for (const std::string& name : {std::string("../x"), std::string("/x"), std::string("a/../../x"), canary}) {
    const std::string why = refused({{.name = name, .content = "x"}});
    INFO(why);
    CHECK(why.contains("layer 1/1"));
    CHECK(why.contains("'" + name + "'"));
  }
  CHECK(refused({{.name = "l", .type = '2', .link = outside.path()}, {.name = "l/canary", .content = "x"}})
            .contains("'l/canary'"));
  CHECK(refused({{.name = "l", .type = '2', .link = "."}, {.name = "l/x", .content = "x"}}).contains("same layer"));
  CHECK(refused({{.name = "h", .type = '1', .link = canary}}).contains("'h'"));
  CHECK(refused({{.name = "h", .type = '1', .link = "../../../etc/shadow"}}).contains("'h'"));
  CHECK(refused({{.name = "h", .type = '1', .link = "etc/shadow"}}).contains("not in the image"));
  CHECK(refused({{.name = "l", .type = '2', .link = canary}, {.name = "h", .type = '1', .link = "l"}})
            .contains("not a regular file"));
  CHECK(refused({{.name = "p", .type = '6'}, {.name = "h", .type = '1', .link = "p"}}).contains("not a regular file"));
  CHECK(refused({{.name = "f", .content = "x"}, {.name = "f/x", .content = "x"}}).contains("'f/x'"));
  CHECK(refused({{.name = "", .content = "x"}}).contains("layer 1/1"));
  CHECK(refused({{.name = ".", .content = "x"}}).contains("root"));
  CHECK(need(read_file(outside.fd(), "canary", 100)) == "untouched");
  CHECK(need(list_directory(outside.fd())).size() == 1);
}

TEST_CASE("a link of a lower layer leads where it would inside the image, however it is written",
          "[image][kernel][T42]") {
  Layout layout;
  layout.layer({{.name = "usr/bin/", .type = '5', .mode = 0755},
                {.name = "bin", .type = '2', .link = "usr/bin"},
                {.name = "abs", .type = '2', .link = "/usr/bin"},
                {.name = "up", .type = '2', .link = "../../../../usr/../usr/bin"},
                {.name = "var/run", .type = '2', .link = "/run/later"},
                {.name = "loop", .type = '2', .link = "loop"}});
  layout.layer({{.name = "bin/one", .content = "1"},
                {.name = "abs/two", .content = "2"},
                {.name = "up/three", .content = "3"},
                {.name = "var/run/four", .content = "4"},
                {.name = "five", .type = '1', .link = "bin/one"}});
  layout.write();
  {
    const Sealed sealed(layout);
    CHECK(sealed.read("usr/bin/one") == "1");
    CHECK(sealed.read("usr/bin/two") == "2");
    CHECK(sealed.read("usr/bin/three") == "3");
    CHECK(sealed.read("run/later/four") == "4");
    CHECK(sealed.read("five") == "1");
    CHECK(S_ISLNK(sealed.status("bin").st_mode));
  }
  layout.layer({{.name = "loop/x", .content = "x"}});
  layout.write();
  CHECK(sentence(refusal(layout)).contains("too many symbolic links"));
}

TEST_CASE("a hardlink changes nothing of its target, and no mode or owner goes through a link",
          "[image][kernel][T42]") {
  const TemporaryDirectory outside;
  REQUIRE(replace_file(outside.fd(), "canary", "x", Durability::until_reboot));
  Layout layout;
  layout.layer({{.name = "f", .content = "x", .mode = 0600, .uid = 1},
                {.name = "h", .type = '1', .mode = 04777, .uid = 2, .link = "f"},
                {.name = "f", .type = '1', .mode = 04777, .uid = 2, .link = "f"},
                {.name = "l", .type = '2', .mode = 0777, .uid = 3, .link = outside.path() + "/canary"}});
  layout.write();
  const Sealed sealed(layout);
  CHECK(sealed.status("f").st_mode == (S_IFREG | 0600));
  CHECK(sealed.status("f").st_uid == 1);
  CHECK(sealed.status("l").st_uid == 3);
  struct stat canary{};
  REQUIRE(::fstatat(outside.fd().get(), "canary", &canary, 0) == 0);
  CHECK(canary.st_uid == 0);
  CHECK((canary.st_mode & 07777) == 0600);
}

TEST_CASE("owners beyond a container's ids are refused by name", "[image][kernel]") {
  CHECK(refused({{.name = "f", .content = "x", .uid = 65536}}).contains("'f'"));
  CHECK(refused({{.name = "d/", .type = '5', .gid = 70000}}).contains("'d/'"));
}

TEST_CASE("an image that unpacks to too much is stopped at the limit", "[image][kernel][T43]") {
  const Limits small{.unpacked = 32_MiB, .ratio = 200, .ratio_from = 1_MiB, .entries = 100};
  CHECK(refused({{.name = "zeros", .content = std::string(8U << 20, '\0')}}, small).contains("200 times its size"));
  std::string noise;
  for (unsigned i = 0, state = 1; i < 9U << 20; ++i)
    noise += static_cast<char>((state = state * 1664525U + 1013904223U) >> 24);
  const std::vector<TarEntry> large(4, TarEntry{.name = "noise", .content = noise});
  CHECK(refused(large, small).contains("more than 32MiB"));
  std::vector<TarEntry> many;
  for (int i = 0; i < 101; ++i) many.push_back({.name = fmt::format("f{}", i)});
  CHECK(refused(many, small).contains("one entry too many"));
  many.pop_back();
  Layout layout;
  layout.layer(many);
  layout.write();
  CHECK(Sealed(layout, {.limits = small}).has("f99"));  // the control: exactly the limit is good
}

TEST_CASE("a sparse file counts with its holes", "[image][kernel][T43]") {
  Layout layout;
  layout.layer({{.name = "sparse",
                 .content = "1\n0\n512\n" + std::string(504, '\0') + std::string(512, 'x'),
                 .pax = {{"GNU.sparse.major", "1"},
                         {"GNU.sparse.minor", "0"},
                         {"GNU.sparse.name", "sparse"},
                         {"GNU.sparse.realsize", "1099511627776"}}}});
  layout.write();
  const Error error = refusal(layout);
  CHECK(error.kind == ErrorKind::limit);
  CHECK(sentence(error).contains("holes"));
}

TEST_CASE("names that are too long or too deep are refused, by links too", "[image][kernel][T43]") {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep.append(255, 'd').append("/");
  CHECK(refused({{.name = "x", .content = "x", .pax = {{"path", deep}}}}).contains("bytes"));
  // A link to the end of a deep directory, and on from there, layer by layer.
  std::string half;
  for (int i = 0; i < 100; ++i) half += "d/";
  Layout layout;
  layout.layer(
      {{.name = "x", .type = '5', .mode = 0755, .pax = {{"path", half}}}, {.name = "l", .type = '2', .link = half}});
  layout.layer({{.name = "x", .type = '5', .mode = 0755, .pax = {{"path", "l/" + half}}}});
  layout.write();
  CHECK(sentence(refusal(layout)).contains("too deep once links are resolved"));
}

TEST_CASE("a layer, config or manifest that is not what its digest says is refused", "[image][kernel][T46]") {
  Layout layout;
  layout.layer({{.name = "f", .content = std::string(100'000, 'x')}}, Packing::none);
  layout.write();
  const std::string name = "blobs/sha256/" + layout.layers[0]["digest"].get<std::string>().substr(7);
  const std::string bytes = need(read_file(layout.fd(), name, 1U << 20));

  std::string other = bytes;
  other[70'000] = 'y';
  layout.put(name, other);
  CHECK(sentence(refusal(layout)).contains("is not what its name says"));
  layout.put(name, bytes.substr(0, 50'000));
  CHECK(sentence(refusal(layout)).contains("where 101888 are declared"));
  REQUIRE(remove_tree(layout.fd(), name));
  CHECK(sentence(refusal(layout)).contains("is missing"));
  layout.put(name, bytes);
  CHECK(Sealed(layout).has("f"));  // the control

  layout.config["rootfs"]["diff_ids"][0] = "sha256:" + std::string(64, '0');
  layout.write();
  CHECK(sentence(refusal(layout)).contains("diff_ids"));
  layout.config["rootfs"]["diff_ids"] = Json::array();
  layout.write();
  CHECK(sentence(refusal(layout)).contains("names 0 layers"));
}

TEST_CASE("layers that are cut or of another packing than they say are refused", "[image][kernel][T46]") {
  const std::string archive = tar({{.name = "f", .content = std::string(100'000, 'x')}});
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  const auto why = [&](const std::string& blob, const std::string& suffix) {
    Layout layout;
    layout.layers.push_back(layout.blob(blob, type + suffix));
    layout.config["rootfs"]["diff_ids"].push_back("sha256:" + hex(sha256(archive)));
    layout.write();
    return sentence(refusal(layout));
  };
  for (const Packing packing : {Packing::none, Packing::gzip, Packing::zstd}) {
    const std::string suffix = packing == Packing::none ? "" : packing == Packing::gzip ? "+gzip" : "+zstd";
    const std::string whole = packed(archive, packing);
    CHECK(why(whole.substr(0, whole.size() / 2), suffix).contains("layer 1/1"));
    CHECK(why("no archive at all, only a few words that go on for a while", suffix).contains("layer 1/1"));
    CHECK(why("", suffix).contains("layer 1/1"));
  }
  CHECK(why(packed(archive, Packing::gzip), "+zstd").contains("layer 1/1"));
  CHECK(why(packed(archive, Packing::gzip), "").contains("layer 1/1"));
}

TEST_CASE("a directory that is no layout, and a layout of another version, are refused as such", "[image][kernel]") {
  Layout layout;
  layout.write();
  layout.put("oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  CHECK(refusal(layout).kind == ErrorKind::unsupported);
  REQUIRE(remove_tree(layout.fd(), "oci-layout"));
  CHECK(sentence(refusal(layout)).contains("not an OCI image layout"));
}
