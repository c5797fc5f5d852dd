#include "image/worker/source.hpp"

#include <catch2/catch.hpp>

#include "image/path.hpp"
#include "image/worker_line.hpp"
#include "tests/unit/image/oci_writer.hpp"

using namespace orlop;
using namespace orlop::image;

namespace {

Result<Source> archive_of(const TemporaryDirectory& directory, std::string_view bytes) {
  REQUIRE(replace_file(directory.fd(), "a.tar", bytes, Durability::until_reboot));
  return Source::archive(sys::open_beneath(directory.fd(), "a.tar", O_RDONLY).value());
}

}  // namespace

TEST_CASE("a layout in a tar archive is read in place, with or without ./ before its names", "[image]") {
  const TemporaryDirectory directory;
  const std::string content(3000, 'x');
  const Sha256 digest = sha256(content);
  const Result<Source> source = archive_of(
      directory, tar({{.name = "./", .type = '5'},
                      {.name = "oci-layout", .content = "first"},
                      {.name = "./" + Layout::blob_name(digest), .content = content, .pax = {{"mtime", "1.5"}}},
                      {.name = "index.json", .content = "last"}}));
  REQUIRE(source);
  CHECK(read_member(*source, "oci-layout", 1_KiB).value() == "first");
  CHECK(read_member(*source, "index.json", 1_KiB).value() == "last");
  CHECK(read_blob(*source, {.digest = digest, .size = 3000}, 4_KiB).value() == content);
  CHECK(read_blob(*source, {.digest = digest, .size = 3000}, 2_KiB).error().kind == ErrorKind::limit);
  CHECK(sentence(read_blob(*source, {.digest = digest, .size = 2999}, 4_KiB).error()).contains("declared"));
  CHECK(read_member(*source, "absent", 1_KiB).error().kind == ErrorKind::not_found);
}

TEST_CASE("an archive that is none, is cut, or holds a name twice is refused", "[image][T46]") {
  const TemporaryDirectory directory;
  const std::string good = tar({{.name = "oci-layout", .content = std::string(5000, 'x')}});
  CHECK(archive_of(directory, good));
  CHECK_FALSE(archive_of(directory, good.substr(0, 2000)));
  CHECK_FALSE(archive_of(directory, std::string(4096, 'x')));
  CHECK_FALSE(archive_of(directory, tar({{.name = "a", .content = "1"}, {.name = "./a", .content = "2"}})));
  CHECK_FALSE(Source::archive(sys::open("/dev/null", O_RDONLY).value()));
}

TEST_CASE("paths inside an image have one form", "[image]") {
  CHECK(normal_path("//a/./b/").value() == "/a/b");
  CHECK(normal_path("/").value() == "/");
  CHECK_FALSE(normal_path("a"));
  CHECK_FALSE(normal_path("/a/../b"));
  CHECK(is_normal_path("/a/b"));
  for (const std::string_view bad : {"", "a", "/a/", "//a", "/a/./b", "/a/.."}) CHECK_FALSE(is_normal_path(bad));
  CHECK(is_within("/proc/1", "/proc"));
  CHECK_FALSE(is_within("/process", "/proc"));
  CHECK(printable("a\n\\\xff") == "a\\x0a\\x5c\\xff");
}

TEST_CASE("a worker's lines are read back, and others refused", "[image][T75]") {
  for (const WorkerLine& line :
       {WorkerLine{.kind = WorkerLine::Kind::progress,
                   .message = "layer 1/2",
                   .error_kind = {ErrorKind::internal},
                   .remedy = {}},
        WorkerLine{.kind = WorkerLine::Kind::sealed,
                   .message = "a@sha256:0",
                   .error_kind = {ErrorKind::internal},
                   .remedy = {}},
        WorkerLine{
            .kind = WorkerLine::Kind::failed, .message = "no", .error_kind = ErrorKind::limit, .remedy = "do"}}) {
    std::string text = to_json(line);
    REQUIRE(text.ends_with('\n'));
    text.pop_back();
    CHECK(parse_worker_line(text).value() == line);
  }
  for (const std::string_view bad : {"", "{}", "[]", R"({"progress":1})", R"({"progress":"a","x":"b"})",
                                     R"({"failed":"a"})", R"({"failed":"a","kind":"odd","remedy":""})"})
    CHECK_FALSE(parse_worker_line(bad));
  CHECK(parse_worker_line(std::string(10'000, ' ')).error().kind == ErrorKind::limit);
}
