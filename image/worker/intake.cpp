#include "image/worker/intake.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/file.hpp"
#include "base/sys.hpp"
#include "image/json.hpp"
#include "image/path.hpp"
#include "image/reference.hpp"
#include "image/staging.hpp"
#include "image/worker/config.hpp"
#include "image/worker/layer.hpp"
#include "image/worker/manifest.hpp"
#include "image/worker/report.hpp"
#include "image/worker/seal.hpp"
#include "image/worker/tree.hpp"
#include "image/worker/users.hpp"

namespace orlop::image {
namespace {

constexpr const char* tree_name = "tree";
constexpr std::size_t max_accounts_bytes = 1UL << 20;

struct StandardDirectory {
  const char* path;
  mode_t mode;
};
constexpr std::array standard_directories = {StandardDirectory{"/dev", 0755}, StandardDirectory{"/proc", 0755},
                                             StandardDirectory{"/run", 0755}, StandardDirectory{"/sys", 0755},
                                             StandardDirectory{"/tmp", 01777}};
// A container has a loopback without IPv6 until networks exist, and many programs bind to or call `localhost`.
struct StandardFile {
  const char* path;
  std::string_view content;
};
constexpr std::array standard_files = {StandardFile{"/etc/hostname", ""},
                                       StandardFile{"/etc/hosts", "127.0.0.1\tlocalhost\n"},
                                       StandardFile{"/etc/resolv.conf", ""}};

Result<void> check_layout_version(const Source& source, const Limits& limits) {
  Result<std::string> text = read_member(source, "oci-layout", limits.document);
  if (!text) return fail(std::move(text), "this is not an OCI image layout");
  Result<Json> json = parse_json(*text);
  if (!json) return fail(std::move(json), "cannot read 'oci-layout'");
  Fields fields(*json, "oci-layout", Fields::Absent::refused);
  const std::string version = fields.text("imageLayoutVersion");
  if (Result<void> good = fields.done(); !good) return good;
  if (version != "1.0.0")
    return fail(ErrorKind::unsupported, fmt::format("the layout is of version '{}', not 1.0.0", printable(version)));
  return {};
}

Result<Config> read_config(const Source& source, const Manifest& manifest, const Limits& limits) {
  const std::string what = "cannot read the image config";
  Result<std::string> text = read_blob(source, manifest.config, limits.document);
  if (!text) return fail(std::move(text), what);
  Result<Config> config = parse_config(*text);
  if (!config) return fail(std::move(config), what);
  if (config->diff_ids.size() != manifest.layers.size())
    return fail(ErrorKind::corrupt, fmt::format("the image config names {} layers, the manifest {}",
                                                config->diff_ids.size(), manifest.layers.size()));
  return config;
}

// A layout's reference name is often a tag alone ("latest"): only one with a '/' or ':' says what the image is.
Result<std::string> choose_name(const Request& request, const std::string& reference_name) {
  if (request.name) {
    if (is_valid_image_name(*request.name)) return *request.name;
    return fail(ErrorKind::config, fmt::format("'{}' is not a name of an image", printable(*request.name)),
                "use a-z, 0-9 and inner '.', '_', '-' in parts joined by '/', with ':TAG' at the end if you like");
  }
  const bool tells = reference_name.find_first_of("/:") != std::string::npos;
  if (tells && is_valid_image_name(reference_name)) return reference_name;
  if (is_valid_image_name(request.fallback_name)) return request.fallback_name;
  return fail(ErrorKind::config, fmt::format("the image needs a name: '{}' is none", printable(request.fallback_name)),
              "give one by --name");
}

Result<std::vector<std::string>> normal_paths(const std::vector<std::string>& written) {
  std::vector<std::string> paths;
  for (const std::string& each : written) {
    Result<std::string> path = normal_path(each);
    if (!path || *path == "/")
      return fail(ErrorKind::config, fmt::format("--mkdir '{}' is not a directory inside the image", printable(each)),
                  "give an absolute path without '..'");
    paths.push_back(std::move(*path));
  }
  return paths;
}

Result<void> apply_layers(const Source& source, const Manifest& manifest, const Config& config, Tree& tree,
                          const Limits& limits, const std::function<void(std::string_view)>& progress) {
  Budget budget{.unpacked_bytes = limits.unpacked.count, .entries = limits.entries};
  const std::size_t count = manifest.layers.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string what = fmt::format("layer {}/{}", i + 1, count);
    progress(what);
    Result<void> done = tree.begin_layer(static_cast<int>(i) + 1);
    if (done) done = apply_layer(source, manifest.layers[i], config.diff_ids[i], tree, budget, limits);
    if (done) done = tree.end_layer();
    if (!done) return fail(std::move(done), fmt::format("{} (sha256:{})", what, hex(manifest.layers[i].blob.digest)));
  }
  return {};
}

Result<std::vector<std::string>> add_mount_points(Tree& tree, const std::vector<std::string>& volumes,
                                                  const std::vector<std::string>& asked, Report& report) {
  std::set<std::string> points;
  Result<void> done = tree.begin_layer(0);
  for (const auto& [path, mode] : standard_directories) {
    if (done) done = tree.require_directory(path, mode);
    points.emplace(path);
  }
  for (const auto& [path, content] : standard_files) {
    if (done) done = tree.require_file(path, content);
    points.emplace(path);
  }
  if (!done) return fail(std::move(done), "cannot add the standard mount points");
  for (const std::string& path : asked) {
    if (done = tree.add_directory(path); !done) return fail(std::move(done), fmt::format("--mkdir '{}'", path));
    points.emplace(path);
  }
  for (const std::string& path : volumes) {
    if (done = tree.add_directory(path); done) {
      points.emplace(path);
      continue;
    }
    if (done.error().kind != ErrorKind::conflict) return fail(std::move(done), fmt::format("volume '{}'", path));
    report.add(Finding::mount_point_unusable, path + ": " + sentence(done.error()));
  }
  if (done = tree.end_layer(); !done) return pass(std::move(done));
  return std::vector<std::string>(points.begin(), points.end());
}

// An account file as a process in the image would read it; links lead inside. What cannot be read has no lines.
std::string account_file(BorrowedFd root, const std::string& path) {
  const Result<UniqueFd> file = sys::open_in_root(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (!file) return {};
  struct stat status{};
  if (::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return read_all(*file, max_accounts_bytes).value_or("");
}

void describe_accounts(BorrowedFd root, const Config& config, Record& record, Report& report) {
  Accounts accounts = parse_accounts(account_file(root, "/etc/passwd"), account_file(root, "/etc/group"));
  if (accounts.cut) report.add(Finding::accounts_cut, "/etc/passwd, /etc/group");
  if (!config.user.empty()) {
    Result<Identity> user = resolve_user(config.user, accounts);
    if (user)
      record.user = std::move(*user);
    else
      record.user_problem = "the image names a user that it lacks: " + sentence(user.error());
  }
  record.users = std::move(accounts.users);
  record.groups = std::move(accounts.groups);
}

Record describe(const Chosen& chosen, Config config) {
  Record record;
  record.manifest = chosen.blob.digest;
  record.config_digest = chosen.manifest.config.digest;
  record.entrypoint = std::move(config.entrypoint);
  record.command = std::move(config.command);
  record.env = std::move(config.env);
  record.workdir = std::move(config.workdir);
  record.stop_signal = config.stop_signal;
  record.volumes = std::move(config.volumes);
  record.exposed_ports = std::move(config.exposed_ports);
  record.labels = std::move(config.labels);
  record.healthcheck = std::move(config.healthcheck);
  return record;
}

Result<Record> seal_into(const Source& source, BorrowedFd out, const Request& request,
                         const std::function<void(std::string_view)>& progress) {
  Result<std::vector<std::string>> asked = normal_paths(request.mkdir);
  if (!asked) return pass(std::move(asked));
  if (Result<void> good = check_layout_version(source, request.limits); !good) return pass(std::move(good));
  Result<Chosen> chosen = choose_image(source, request.reference, request.limits);
  if (!chosen) return pass(std::move(chosen));
  Result<std::string> name = choose_name(request, chosen->reference_name);
  if (!name) return pass(std::move(name));
  Result<Config> config = read_config(source, chosen->manifest, request.limits);
  if (!config) return pass(std::move(config));

  Result<UniqueFd> root = make_directory(out, tree_name, 0755);
  if (!root) return pass(std::move(root));
  Report report;
  Tree tree(*root, report);
  Entry top;
  top.type = EntryType::directory;
  top.mode = 0755;
  if (Result<std::optional<UniqueFd>> put = tree.put(top); !put) return pass(std::move(put));
  if (Result<void> done = apply_layers(source, chosen->manifest, *config, tree, request.limits, progress); !done)
    return pass(std::move(done));
  Result<std::vector<std::string>> points = add_mount_points(tree, config->volumes, *asked, report);
  if (!points) return pass(std::move(points));

  Record record = describe(*chosen, *config);
  record.name = std::move(*name);
  record.mount_points = std::move(*points);
  describe_accounts(*root, *config, record, report);
  record.report = report.items();

  progress("sealing");
  Result<Seal> seal = seal_tree(out, tree_name, std::string(seal_name));
  if (!seal) return pass(std::move(seal));
  record.seal = seal->digest;
  record.seal_size = seal->size;
  // orlopd reads the record as foreign; one that it would refuse is found here, while there is someone to tell.
  const std::string json = to_json(record);
  if (Result<Record> back = from_json(json); !back) return fail(std::move(back), "the image's record");
  for (const auto& [file, bytes] : {std::pair<std::string_view, std::string_view>{manifest_name, chosen->text},
                                    std::pair<std::string_view, std::string_view>{record_name, json}})
    if (Result<void> written = replace_file(out, std::string(file), bytes, Durability::power_loss); !written)
      return pass(std::move(written));
  return record;
}

}  // namespace

Result<Record> take_in(const Source& source, BorrowedFd out, const Request& request,
                       const std::function<void(std::string_view)>& progress) {
  Result<std::vector<std::string>> there = list_directory(out);
  if (!there) return fail(std::move(there), "cannot read the output directory");
  if (!there->empty()) return fail(ErrorKind::conflict, "the output directory is not empty");
  Result<Record> record = seal_into(source, out, request, progress);
  Result<void> cleared = remove_tree(out, tree_name);
  if (record) return cleared ? std::move(record) : fail(std::move(cleared), "cannot remove the unpacked image");
  for (const std::string_view name : {record_name, manifest_name, seal_name})
    (void)remove_tree(out, std::string(name));  // the first error is the one to tell
  return record;
}

}  // namespace orlop::image
