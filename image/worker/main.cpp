// orlop-image: takes one image in. Launched by orlopd in a sandbox of its own; believes nothing that it reads.
//
//   orlop-image (--archive-fd N | --layout DIR) --out DIR [--reference NAME|sha256:DIGEST] [--name NAME]
//               [--fallback-name NAME] [--mkdir DIR]...
//
// Prints lines of image/worker_line.hpp; exit status 0 sealed, 1 failed, 2 called wrongly.
#include <fcntl.h>
#include <fmt/format.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "image/reference.hpp"
#include "image/worker/intake.hpp"
#include "image/worker_line.hpp"

namespace orlop::image {
namespace {

struct Arguments {
  std::optional<int> archive_fd;
  std::string layout;
  std::string out;
  Request request;
};

Result<Arguments> parse_arguments(int argc, char** argv) {
  enum : int { archive_fd = 1, layout, out, reference, name, fallback_name, mkdir };
  const option options[] = {{"archive-fd", required_argument, nullptr, archive_fd},
                            {"layout", required_argument, nullptr, layout},
                            {"out", required_argument, nullptr, out},
                            {"reference", required_argument, nullptr, reference},
                            {"name", required_argument, nullptr, name},
                            {"fallback-name", required_argument, nullptr, fallback_name},
                            {"mkdir", required_argument, nullptr, mkdir},
                            {nullptr, 0, nullptr, 0}};
  Arguments arguments;
  opterr = 0;
  for (int chosen = 0; (chosen = ::getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    const std::string_view value = optarg != nullptr ? optarg : "";
    switch (chosen) {
      case archive_fd: {
        int fd = -1;
        const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), fd);
        if (failure != std::errc() || end != value.data() + value.size() || fd <= STDERR_FILENO)
          return fail(ErrorKind::config, "--archive-fd needs the number of an open descriptor from 3 up");
        arguments.archive_fd = fd;
        break;
      }
      case layout:
        arguments.layout = value;
        break;
      case out:
        arguments.out = value;
        break;
      case reference:
        arguments.request.reference = value;
        break;
      case name:
        arguments.request.name = value;
        break;
      case fallback_name:
        arguments.request.fallback_name = value;
        break;
      case mkdir:
        arguments.request.mkdir.emplace_back(value);
        break;
      default:
        return fail(ErrorKind::config, fmt::format("'{}' is not an option, or lacks its value", argv[optind - 1]));
    }
  }
  if (optind < argc) return fail(ErrorKind::config, fmt::format("'{}' is not expected", argv[optind]));
  if (arguments.out.empty() || arguments.archive_fd.has_value() == !arguments.layout.empty())
    return fail(ErrorKind::config, "give --out, and either --layout or --archive-fd");
  return arguments;
}

Result<Source> open_source(const Arguments& arguments) {
  if (arguments.archive_fd) {
    const UniqueFd given(*arguments.archive_fd);
    Result<UniqueFd> archive = sys::duplicate(given);  // close-on-exec, so that mkfs.erofs does not have it
    if (!archive) return fail(std::move(archive), "--archive-fd");
    return Source::archive(std::move(*archive));
  }
  Result<UniqueFd> directory = sys::open(arguments.layout, O_RDONLY | O_DIRECTORY);
  if (!directory) return pass(std::move(directory));
  return Source::directory(std::move(*directory));
}

// A line that cannot be written has no reader any more; the work then ends by itself or by orlopd's hand.
void say(const WorkerLine& line) {
  (void)write_all(BorrowedFd(STDOUT_FILENO), to_json(line));
}

Result<Record> run(const Arguments& arguments) {
  (void)::umask(0);
  Result<Source> source = open_source(arguments);
  if (!source) return pass(std::move(source));
  Result<UniqueFd> out = sys::open(arguments.out, O_RDONLY | O_DIRECTORY);
  if (!out) return pass(std::move(out));
  return take_in(*source, *out, arguments.request, [](std::string_view step) {
    say({.kind = WorkerLine::Kind::progress, .message = std::string(step), .error_kind = {}, .remedy = {}});
  });
}

int report(const Error& error, int status) {
  say({.kind = WorkerLine::Kind::failed, .message = sentence(error), .error_kind = error.kind, .remedy = error.remedy});
  return status;
}

int image_main(int argc, char** argv) {
  // The one place where exceptions of libraries and of memory end.
  try {
    const Result<Arguments> arguments = parse_arguments(argc, argv);
    if (!arguments) return report(arguments.error(), 2);
    const Result<Record> record = run(*arguments);
    if (!record) return report(record.error(), 1);
    say({.kind = WorkerLine::Kind::sealed,
         .message = text(Reference{.name = record->name, .manifest = record->manifest}),
         .error_kind = {},
         .remedy = {}});
    return 0;
  } catch (const std::bad_alloc&) {
    return report(fail(ErrorKind::limit, "the image needs more memory than an intake may use").error(), 1);
  } catch (const std::exception& unexpected) {
    return report(fail(ErrorKind::internal, unexpected.what()).error(), 1);
  }
}

}  // namespace
}  // namespace orlop::image

int main(int argc, char** argv) {
  return orlop::image::image_main(argc, argv);
}
