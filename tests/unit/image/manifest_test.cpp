#include "image/worker/manifest.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/image/oci_writer.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

const std::string index_type = "application/vnd.oci.image.index.v1+json";
const std::string manifest_type = "application/vnd.oci.image.manifest.v1+json";

// Why the manifest of a small image is refused after `change`; empty if it is not.
template <class Change>
std::string refusal(Change change) {
  Layout layout;
  layout.layer({{.name = "a"}});
  Json manifest = layout.manifest();
  change(manifest);
  const Result<Manifest> read = parse_manifest(print_json(manifest), 10);
  return read ? "" : sentence(read.error());
}

}  // namespace

TEST_CASE("a manifest names its config and its layers with their packing", "[image]") {
  Layout layout;
  layout.layer({{.name = "a"}}, Packing::none);
  layout.layer({{.name = "b"}}, Packing::gzip);
  layout.layer({{.name = "c"}}, Packing::zstd);
  const Result<Manifest> manifest = parse_manifest(print_json(layout.manifest()), 3);
  REQUIRE(manifest);
  REQUIRE(manifest->layers.size() == 3);
  CHECK(manifest->layers[0].packing == Packing::none);
  CHECK(manifest->layers[1].packing == Packing::gzip);
  CHECK(manifest->layers[2].packing == Packing::zstd);
  CHECK(parse_manifest(print_json(layout.manifest()), 2).error().kind == ErrorKind::limit);
}

TEST_CASE("a manifest that two readers could take differently is refused", "[image][T47]") {
  CHECK(refusal([](Json&) {}).empty());
  CHECK(refusal([](Json& m) { m.erase("mediaType"); }).empty());  // older writers leave it to the descriptor
  CHECK(refusal([](Json& m) { m["manifests"] = Json::array(); }).contains("ambiguous"));
  CHECK(refusal([](Json& m) { m["mediaType"] = index_type; }).contains("ambiguous"));
  CHECK(refusal([](Json& m) { m["schemaVersion"] = 1; }).contains("'schemaVersion'"));
  CHECK(refusal([](Json& m) { m.erase("config"); }).contains("'config' is missing"));
  CHECK(refusal([](Json& m) { m["layers"][0].erase("mediaType"); }).contains("'mediaType' is missing"));
  CHECK(refusal([](Json& m) { m["layers"][0]["mediaType"] = "text/plain"; }).contains("layer 1"));
  CHECK(refusal([](Json& m) { m["layers"][0]["digest"] = "sha256:../../etc/passwd"; }).contains("'digest'"));
  CHECK(refusal([](Json& m) { m["layers"][0]["digest"] = "md5:0"; }).contains("'digest'"));
  CHECK(refusal([](Json& m) { m["layers"][0]["size"] = -1; }).contains("'size'"));
  CHECK(refusal([](Json& m) { m["layers"][0].erase("size"); }).contains("'size' is missing"));
  CHECK(refusal([](Json& m) { m["layers"][0]["urls"] = {"http://x"}; }).contains("'urls'"));
  CHECK(refusal([](Json& m) {
          m["config"]["mediaType"] = "application/vnd.cncf.helm.config";
        }).contains("something else"));
}

TEST_CASE("an index with layers or a config of its own is refused", "[image][T47]") {
  CHECK(parse_index(R"({"schemaVersion":2,"manifests":[]})"));
  CHECK_FALSE(parse_index(R"({"schemaVersion":2,"manifests":[],"layers":[]})"));
  CHECK_FALSE(parse_index(R"({"schemaVersion":2,"manifests":[],"config":{}})"));
  CHECK_FALSE(parse_index(R"({"schemaVersion":2})"));
  CHECK_FALSE(parse_index(R"({"schemaVersion":2,"schemaVersion":2,"manifests":[]})"));
  CHECK_FALSE(parse_index(R"({"manifests":[]})"));
  CHECK_FALSE(parse_index("[]"));
}

TEST_CASE("the one image for this machine is chosen, through nested indexes", "[image]") {
  Layout layout;
  Json here = layout.blob(print_json(layout.manifest()), manifest_type);
  here["platform"] = {{"os", "linux"}, {"architecture", architecture()}};
  Json elsewhere = layout.blob("other", manifest_type);
  elsewhere["platform"] = {{"os", "linux"}, {"architecture", "s390x"}};
  Json attestation = layout.blob("attestation", manifest_type);
  attestation["platform"] = {{"os", "unknown"}, {"architecture", "unknown"}};
  const Json inner{{"schemaVersion", 2}, {"mediaType", index_type}, {"manifests", {elsewhere, here, attestation}}};
  Json outer = layout.blob(print_json(inner), index_type);
  outer["annotations"] = {{"org.opencontainers.image.ref.name", "example.net/app:1"}};
  layout.index({outer});
  const Result<Chosen> chosen = choose_image(layout.source(), std::nullopt, {});
  REQUIRE(chosen);
  CHECK("sha256:" + hex(chosen->blob.digest) == here["digest"]);
  CHECK(chosen->reference_name == "example.net/app:1");
}

TEST_CASE("of several images one must be named, by reference or digest", "[image]") {
  Layout layout;
  Json first = layout.blob(print_json(layout.manifest()), manifest_type);
  first["annotations"] = {{"org.opencontainers.image.ref.name", "one"}};
  layout.layer({{.name = "a"}});
  Json second = layout.blob(print_json(layout.manifest()), manifest_type);
  second["annotations"] = {{"org.opencontainers.image.ref.name", "two"}};
  layout.index({first, second});
  const Result<Chosen> none = choose_image(layout.source(), std::nullopt, {});
  REQUIRE_FALSE(none);
  CHECK(none.error().kind == ErrorKind::conflict);
  CHECK(sentence(none.error()).contains("one"));
  CHECK(sentence(none.error()).contains("two"));
  CHECK(choose_image(layout.source(), "two", {})->manifest.layers.size() == 1);
  CHECK(choose_image(layout.source(), first["digest"].get<std::string>(), {})->manifest.layers.empty());
  CHECK(choose_image(layout.source(), "three", {}).error().kind == ErrorKind::not_found);
}

TEST_CASE("indexes nested too deep, or too many of them, are refused", "[image]") {
  Layout layout;
  Json deepest = layout.blob(print_json(layout.manifest()), manifest_type);
  for (int depth = 0; depth < 3; ++depth)
    deepest = layout.blob(print_json(Json{{"schemaVersion", 2}, {"manifests", {deepest}}}), index_type);
  layout.index({deepest});
  CHECK(choose_image(layout.source(), std::nullopt, {}).error().kind == ErrorKind::limit);

  std::vector<Json> fan;
  for (int i = 0; i < 100; ++i)
    fan.push_back(
        layout.blob(print_json(Json{{"schemaVersion", 2}, {"manifests", Json::array()}, {"n", i}}), index_type));
  layout.index(fan);
  CHECK(choose_image(layout.source(), std::nullopt, {}).error().kind == ErrorKind::limit);
}

TEST_CASE("a manifest whose bytes or size are not those of its descriptor is refused", "[image][T46]") {
  Layout layout;
  layout.write();
  const Result<Chosen> chosen = choose_image(layout.source(), std::nullopt, {});
  REQUIRE(chosen);
  const std::string name = Layout::blob_name(chosen->blob.digest);
  std::string bytes = read_file(layout.fd(), name, 100'000).value();
  bytes.back() = ' ';
  layout.put(name, bytes);
  CHECK(sentence(choose_image(layout.source(), std::nullopt, {}).error()).contains(hex(chosen->blob.digest)));
  layout.put(name, bytes + " ");
  CHECK(sentence(choose_image(layout.source(), std::nullopt, {}).error()).contains("declared"));
  REQUIRE(remove_tree(layout.fd(), name));
  CHECK(sentence(choose_image(layout.source(), std::nullopt, {}).error()).contains("is missing"));
  // Not followed, not waited for.
  REQUIRE(::symlinkat("/etc/passwd", layout.fd().get(), name.c_str()) == 0);
  CHECK_FALSE(choose_image(layout.source(), std::nullopt, {}));
  REQUIRE(remove_tree(layout.fd(), name));
  REQUIRE(::mkfifoat(layout.fd().get(), name.c_str(), 0600) == 0);
  CHECK(sentence(choose_image(layout.source(), std::nullopt, {}).error()).contains("not a regular file"));
}
