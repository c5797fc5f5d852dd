#include "tests/kernel/programs/debian_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "tests/temporary_directory.hpp"

namespace orlop {
namespace {

// A busy machine makes a database's first start slow; a healthy one needs a second.
constexpr Duration patience = std::chrono::seconds(90);

struct Finished {
  int status = 0;  ///< of waitpid(2)
  std::string output;
};

Finished run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  need(pipe != nullptr);
  Finished finished;
  char buffer[4096];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) finished.output.append(buffer, count);
  finished.status = ::pclose(pipe);
  return finished;
}

// The block of docs/operations.md that declares the container, as it stands there.
std::string documented_section(const std::string& program) {
  const UniqueFd file = need(sys::open(ORLOP_SOURCE "/docs/operations.md", O_RDONLY));
  const std::string text = need(read_all(file, 1U << 20));
  const std::size_t declared = text.find(fmt::format("[container.{}]\n", program));
  if (declared == std::string::npos) FAIL("docs/operations.md has no section for " << program);
  const std::string_view fence = "```toml\n";
  const std::size_t begin = text.rfind(fence, declared) + fence.size();
  return text.substr(begin, text.find("```", declared) - begin);
}

std::string import(const Instance& orlop, const std::string& program) {
  const TemporaryDirectory layout;
  const Finished built =
      run(fmt::format("{}/tests/images/debian-layout {} {}/oci", ORLOP_SOURCE, program, layout.path()));
  if (built.status != 0) FAIL("no image of " << program << ": " << built.output);
  const UniqueFd source = need(sys::open(layout.path() + "/oci", O_RDONLY | O_DIRECTORY));
  const auto record =
      nlohmann::json::parse(need(orlop.client().import_image(source, control::ImageSource::layout, {.name = program})));
  return fmt::format("{}@sha256:{}", program, record.at("manifest").get<std::string>());
}

}  // namespace

std::string no_debian_image(const std::string& program) {
  const char* cache = std::getenv("ORLOP_CACHE");
  const char* home = std::getenv("HOME");
  const std::string kept = cache != nullptr ? cache : fmt::format("{}/.cache/orlop", home != nullptr ? home : "/root");
  if (std::filesystem::exists(fmt::format("{}/images/{}", kept, program))) return {};
  if (run("command -v mmdebstrap && command -v umoci").status == 0) return {};
  return "no mmdebstrap and umoci here to build Debian's images with";
}

DebianProgram::DebianProgram(Instance& orlop, std::string program)
    : orlop_(orlop), program_(std::move(program)), section_(documented_section(program_)) {
  const std::string placeholder = program_ + "@sha256:…";
  const std::size_t at = section_.find(placeholder);
  if (at == std::string::npos) FAIL("the section of " << program_ << " does not name its image " << placeholder);
  section_.replace(at, placeholder.size(), import(orlop_, program_));
  need(orlop_.apply(section_));
  await_healthy();
}

void DebianProgram::replace_with(const std::string& line) {
  const auto before = orlop_.inspect(program_).at("start");
  need(orlop_.apply(section_ + line + "\n"));
  orlop_.await(program_, [&](const auto& seen) { return seen.at("start") != before; }, "another start", patience);
  await_healthy();
}

nlohmann::json DebianProgram::await_healthy() const {
  const BootTime deadline = BootClock::now() + patience;
  nlohmann::json seen = orlop_.await(
      program_,
      [&](const auto& now) {
        return (now.at("state") == "running" && now.at("health") == "healthy") || BootClock::now() > deadline;
      },
      "an answer", patience + patience);
  if (seen.at("health") != "healthy") FAIL(program_ << " is not healthy\n" << orlop_.log(program_));
  return seen;
}

std::string DebianProgram::client(const std::string& command) const {
  const pid_t pid = orlop_.inspect(program_).at("pid");
  // -U and nobody: no program of an image runs as the host's root, the client as little as the server.
  Finished finished =
      run(fmt::format("nsenter --target {} --user --net --root --wdns=/ --setuid 65534 --setgid 65534 env -i "
                      "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin {}",
                      pid, command));
  if (finished.status != 0)
    FAIL(command << ": status " << WEXITSTATUS(finished.status) << "\n"
                 << finished.output << "\nlog:\n"
                 << orlop_.log(program_));
  return std::move(finished.output);
}

}  // namespace orlop
