#include "image/worker/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <limits>

#include "image/json.hpp"
#include "image/path.hpp"
#include "image/worker/manifest.hpp"

namespace orlop::image {
namespace {

constexpr std::size_t max_texts_bytes = 128UL << 10;  // of argv, and of env: defaults.md, "env, args"
constexpr std::uint64_t max_ns = std::numeric_limits<std::int64_t>::max();

std::optional<int> whole_number(std::string_view digits) {
  int value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// An argv or env: bounded, and without line ends, which no program needs and every log and file format fears.
std::vector<std::string> plain_texts(Fields& fields, const char* key) {
  std::vector<std::string> texts = fields.texts(key);
  std::size_t bytes = 0;
  for (const std::string& each : texts) {
    bytes += each.size() + 1;
    if (each.contains('\n') || each.contains('\r')) fields.refuse(key, "holds a line end");
  }
  if (bytes > max_texts_bytes) fields.refuse(key, fmt::format("has over {} bytes", max_texts_bytes));
  return texts;
}

// Of two settings of one name the later one counts, as in Docker.
std::vector<std::string> read_env(Fields& fields) {
  std::vector<std::string> env;
  std::map<std::string, std::size_t, std::less<>> index;
  for (std::string& setting : plain_texts(fields, "Env")) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      fields.refuse("Env", fmt::format("holds '{}', which is not NAME=value", printable(setting)));
      return {};
    }
    const auto [place, fresh] = index.emplace(setting.substr(0, equals), env.size());
    if (fresh)
      env.push_back(std::move(setting));
    else
      env.at(place->second) = std::move(setting);
  }
  return env;
}

// The program is found by an absolute path or in PATH; one relative to some directory is not.
void check_program(Fields& fields, const char* key, const std::vector<std::string>& argv) {
  if (argv.empty()) return;
  const std::string& program = argv.front();
  if (program.empty()) fields.refuse(key, "names an empty program");
  if (program.contains('/') && !program.starts_with('/'))
    fields.refuse(key, fmt::format("names the program '{}', a relative path", printable(program)));
}

// A path that a mount or a process will use: normal, and not in a place that the kernel fills.
std::string own_path(Fields& fields, const char* key, std::string_view written) {
  Result<std::string> path = normal_path(written);
  if (!path) {
    fields.refuse(key, sentence(path.error()));
    return "/";
  }
  for (const std::string_view top : {"/proc", "/sys", "/dev"})
    if (is_within(*path, top)) fields.refuse(key, fmt::format("lies in {}: '{}'", top, printable(*path)));
  return std::move(*path);
}

std::vector<std::string> keys_of(Fields& fields, const char* key) {
  std::vector<std::string> keys;
  if (const Json* set = fields.object(key); set != nullptr)
    for (const auto& [name, unused] : set->items()) {
      if (name.contains('\0')) fields.refuse(key, "holds NUL");
      keys.push_back(name);
    }
  return keys;
}

std::vector<std::string> read_volumes(Fields& fields) {
  std::vector<std::string> volumes;
  for (const std::string& written : keys_of(fields, "Volumes")) {
    volumes.push_back(own_path(fields, "Volumes", written));
    if (volumes.back() == "/") fields.refuse("Volumes", "names the root");
  }
  std::ranges::sort(volumes);
  const auto [first, last] = std::ranges::unique(volumes);
  volumes.erase(first, last);
  return volumes;
}

std::optional<Healthcheck> read_healthcheck(Fields& config) {
  const Json* json = config.object("Healthcheck");
  if (json == nullptr) return std::nullopt;
  Fields fields(*json, "Healthcheck", Fields::Absent::allowed);
  Healthcheck check;
  std::vector<std::string> test = plain_texts(fields, "Test");
  check.interval = Duration(fields.number("Interval", max_ns));
  check.timeout = Duration(fields.number("Timeout", max_ns));
  check.start_period = Duration(fields.number("StartPeriod", max_ns));
  check.retries = static_cast<std::uint32_t>(fields.number("Retries", 1'000'000));
  if (test.empty()) {
    // Docker's "inherit": nothing is said about the command.
  } else if (test.front() == "CMD-SHELL" && test.size() == 2) {
    check.command = {"/bin/sh", "-c", test.back()};
  } else if (test.front() == "CMD" && test.size() > 1) {
    check.command.assign(test.begin() + 1, test.end());
    check_program(fields, "Test", check.command);
  } else if (test != std::vector<std::string>{"NONE"}) {
    fields.refuse("Test", "is neither NONE, CMD with arguments nor CMD-SHELL with one");
  }
  if (const Result<void> good = fields.done(); !good) config.refuse("Healthcheck", sentence(good.error()));
  if (test.empty()) return std::nullopt;
  return check;
}

void read_execution(Fields& fields, Config& config) {
  config.user = fields.text("User");
  if (config.user.size() > 512) fields.refuse("User", "has over 512 bytes");
  config.entrypoint = plain_texts(fields, "Entrypoint");
  config.command = plain_texts(fields, "Cmd");
  check_program(fields, config.entrypoint.empty() ? "Cmd" : "Entrypoint",
                config.entrypoint.empty() ? config.command : config.entrypoint);
  config.env = read_env(fields);
  if (const std::string workdir = fields.text("WorkingDir"); !workdir.empty())
    config.workdir = own_path(fields, "WorkingDir", workdir);
  if (const std::string written = fields.text("StopSignal"); !written.empty()) {
    config.stop_signal = parse_signal(written).value_or(0);
    if (config.stop_signal == 0) fields.refuse("StopSignal", fmt::format("'{}' is no signal", printable(written)));
  }
  config.volumes = read_volumes(fields);
  config.exposed_ports = keys_of(fields, "ExposedPorts");
  if (const Json* labels = fields.object("Labels"); labels != nullptr) {
    Fields inner(*labels, "Labels", Fields::Absent::allowed);
    for (const auto& [key, unused] : labels->items()) config.labels.emplace(key, inner.text(key.c_str()));
    if (const Result<void> good = inner.done(); !good) fields.refuse("Labels", sentence(good.error()));
  }
  config.healthcheck = read_healthcheck(fields);
}

}  // namespace

std::optional<int> parse_signal(std::string_view written) {
  std::optional<int> number = whole_number(written);
  if (!number) {
    std::string_view name = written;
    if (name.starts_with("SIG")) name.remove_prefix(3);
    if (name.starts_with("RTMIN+")) {
      if (const std::optional<int> more = whole_number(name.substr(6)); more) number = SIGRTMIN + *more;
    } else if (name.starts_with("RTMAX-")) {
      if (const std::optional<int> less = whole_number(name.substr(6)); less) number = SIGRTMAX - *less;
    } else {
      for (int signal = 1; signal < SIGSYS + 1 && !number; ++signal)
        if (const char* abbreviation = ::sigabbrev_np(signal); abbreviation != nullptr && name == abbreviation)
          number = signal;
    }
  }
  if (!number || *number < 1 || *number > 64) return std::nullopt;
  return number;
}

Result<Config> parse_config(std::string_view text) {
  Result<Json> json = parse_json(text);
  if (!json) return pass(std::move(json));
  Fields fields(*json, "image config", Fields::Absent::allowed);
  const std::string os = fields.text("os");
  const std::string machine = fields.text("architecture");
  Config config;
  if (const Json* rootfs = fields.object("rootfs"); rootfs != nullptr) {
    Fields inner(*rootfs, "rootfs", Fields::Absent::allowed);
    if (inner.text("type") != "layers") inner.refuse("type", "is not 'layers'");
    for (const std::string& written : inner.texts("diff_ids")) {
      const Result<Sha256> digest = parse_hex(written.starts_with("sha256:") ? written.substr(7) : "");
      if (!digest) inner.refuse("diff_ids", fmt::format("holds '{}'", printable(written)));
      config.diff_ids.push_back(digest.value_or(Sha256{}));
    }
    if (const Result<void> good = inner.done(); !good) fields.refuse("rootfs", sentence(good.error()));
  } else {
    fields.refuse("rootfs", "is missing");
  }
  if (const Json* execution = fields.object("config"); execution != nullptr) {
    Fields inner(*execution, "config", Fields::Absent::allowed);
    read_execution(inner, config);
    if (const Result<void> good = inner.done(); !good) fields.refuse("config", sentence(good.error()));
  }
  if (Result<void> good = fields.done(); !good) return pass(std::move(good));
  if (os != "linux" || machine != architecture())
    return fail(ErrorKind::unsupported, fmt::format("the image is made for {}/{}, this machine is linux/{}",
                                                    printable(os), printable(machine), architecture()));
  return config;
}

}  // namespace orlop::image
