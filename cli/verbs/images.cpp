// image import, ls, inspect, rm.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "cli/invocation.hpp"
#include "cli/output/image_view.hpp"
#include "image/reference.hpp"

namespace orlop::cli {
namespace {

struct Import {
  std::string path;
  control::ImportOptions options;
};

Result<int> import(const Invocation& invocation, const Import& wanted) {
  const Result<UniqueFd> source = open_named_file("the image", wanted.path);
  if (!source) return std::unexpected(source.error());
  struct stat status{};
  if (::fstat(source->get(), &status) != 0)
    return fail_errno(errno, "fstat", fmt::format("cannot look at the image '{}'", wanted.path));
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
    return fail(ErrorKind::config, fmt::format("'{}' is neither a directory nor a regular file", wanted.path),
                "name an OCI image layout, or a tar archive of one");
  const control::ImageSource kind =
      S_ISDIR(status.st_mode) ? control::ImageSource::layout : control::ImageSource::archive;

  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  control::ImportOptions options = wanted.options;
  if (Terminal::of(stderr).progress)
    options.progress = [](std::string_view line) { fmt::print(stderr, "{}\n", escape_line(line)); };
  const Result<std::string> answer = client->import_image(*source, kind, options);
  if (!answer) return std::unexpected(answer.error());
  const Result<image::Record> record = image::from_json(*answer);
  if (!record) return std::unexpected(record.error());
  const std::string reference = image::text(image::Reference{record->name, record->manifest});
  if (invocation.json) {
    Result<Json> json = parse_json(*answer);
    if (!json) return pass(std::move(json));
    (*json)["reference"] = reference;
    fmt::print("{}", printed(*json));
    return exit_code::done;
  }
  fmt::print(stderr, "{}", report_text(*record));
  fmt::print("{}\n", reference);
  return exit_code::done;
}

Result<int> list(const Invocation& invocation) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const Result<std::string> answer = client->list_images();
  if (!answer) return std::unexpected(answer.error());
  const Result<Json> json = parse_json(*answer);
  if (!json) return std::unexpected(json.error());
  fmt::print("{}", invocation.json ? printed(*json) : images_text(*json, Terminal::of(stdout)));
  return exit_code::done;
}

Result<int> inspect(const Invocation& invocation, const std::string& image) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  const Result<std::string> answer = client->inspect_image(image);
  if (!answer) return std::unexpected(answer.error());
  if (invocation.json) {
    const Result<Json> json = parse_json(*answer);
    if (!json) return std::unexpected(json.error());
    fmt::print("{}", printed(*json));
    return exit_code::done;
  }
  const Result<image::Record> record = image::from_json(*answer);
  if (!record) return std::unexpected(record.error());
  fmt::print("{}", image_text(*record));
  return exit_code::done;
}

Result<int> remove(const Invocation& invocation, const std::string& image) {
  Result<control::Client> client = invocation.connect();
  if (!client) return pass(std::move(client));
  if (const Result<void> removed = client->remove_image(image); !removed) return std::unexpected(removed.error());
  return exit_code::done;
}

}  // namespace

void add_image_verbs(CLI::App& app, Invocation& invocation) {
  CLI::App* family = app.add_subcommand("image", "Sealed images: import, ls, inspect, rm")->require_subcommand(1);
  const auto wanted = std::make_shared<Import>();
  CLI::App* import_verb = family->add_subcommand("import", "Verify and seal an OCI image, and print its reference");
  import_verb->add_option("PATH", wanted->path, "An OCI image layout: a directory, or a tar archive of one")
      ->required();
  import_verb->add_option("--name", wanted->options.name, "The name for people (default: what the image says)")
      ->type_name("NAME");
  import_verb->add_option("--reference", wanted->options.reference, "Which image, where the layout holds several")
      ->type_name("REF");
  import_verb->add_option("--mkdir", wanted->options.mkdir, "A directory to add, to mount at; may be repeated")
      ->allow_extra_args(false)
      ->type_name("DIR");
  add_json_flag(*import_verb, invocation);
  import_verb->callback(
      [&invocation, wanted] { invocation.run = [&invocation, wanted] { return import(invocation, *wanted); }; });

  CLI::App* list_verb = family->add_subcommand("ls", "List the images")->alias("list");
  add_json_flag(*list_verb, invocation);
  list_verb->callback([&invocation] { invocation.run = [&invocation] { return list(invocation); }; });

  const auto image = std::make_shared<std::string>();
  CLI::App* inspect_verb = family->add_subcommand("inspect", "Show what an image says about itself");
  inspect_verb->add_option("IMAGE", *image, "NAME@sha256:…, a digest or its first digits, or a name")->required();
  add_json_flag(*inspect_verb, invocation);
  inspect_verb->callback(
      [&invocation, image] { invocation.run = [&invocation, image] { return inspect(invocation, *image); }; });
  CLI::App* remove_verb = family->add_subcommand("rm", "Remove an image that no container uses");
  remove_verb->add_option("IMAGE", *image, "NAME@sha256:…, a digest or its first digits, or a name")->required();
  add_json_flag(*remove_verb, invocation);
  remove_verb->callback(
      [&invocation, image] { invocation.run = [&invocation, image] { return remove(invocation, *image); }; });
}

}  // namespace orlop::cli
