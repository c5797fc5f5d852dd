// What a wrong host file gets: a place, the offending text, and what is allowed.
#include <chrono>

#include "tests/unit/config/parsed.hpp"

using namespace orlop;
using namespace orlop::config;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

TEST_CASE("an unknown key is refused with the nearest known one", "[config][T63]") {
  CHECK(web_error("commnad = [\"/bin/sh\"]") ==
        "3:1 container.web.commnad: unknown key \"commnad\" (did you mean command?)");
  CHECK(web_error("resources = { memroy = { max = \"1GiB\" } }") ==
        "3:15 container.web.resources.memroy: unknown key \"memroy\" (did you mean memory?)");
  CHECK(web_error("resources.memory.maximum = \"1GiB\"") ==
        "3:18 container.web.resources.memory.maximum: unknown key \"maximum\" (allowed here: min, high or max)");
  CHECK(web_error("tmpfs.\"/a\" = { siez = \"1MiB\" }") ==
        "3:16 container.web.tmpfs.\"/a\".siez: unknown key \"siez\" (did you mean size?)");
  CHECK(errors("[hots]\nname = \"a\"").front() == "1:2 hots: unknown key \"hots\" (did you mean host?)");
}

TEST_CASE("a key of a later part is refused as not in this version, without a spelling hint", "[config]") {
  for (const char* keys : {"network = \"field\"",
                           "ports = [\"8883:8883/tcp\"]",
                           "secrets = [\"a\"]",
                           "critical = true",
                           "replicas = 3",
                           "autoscale = { min = 1 }",
                           "devices = [\"/dev/ttyUSB0\"]",
                           "executables = []",
                           "lifetime = \"7d\"",
                           "seccomp = \"/etc/a.json\"",
                           "ingress = []",
                           "egress = []",
                           "allow = { host_users = true }",
                           "allow = { host_network = true }",
                           "allow = { exec = true }",
                           "allow = { seccomp = \"/a\" }",
                           "allow = { secret_env = [] }",
                           "restart = { then = \"reboot\" }",
                           "health = [{ exec = [\"/bin/true\"] }]",
                           "health = { exec = [\"/a\"], then = \"stop\" }",
                           "health = { exec = [\"/a\"], tcp = 80 }"})
    CHECK_THAT(web_error(keys), Contains("is not in this version") && !Contains("did you mean"));
  for (const char* file : {"[volume.a]\nsize = \"2GiB\"", "[volume.a]\nbackup = true", "[network.field]", "[secret.a]",
                           "[trust.a]", "[registry.\"a.example\"]", "[policy]", "[host.follow]", "[host.log]",
                           "[host.control]", "[host]\nsensitivity = \"general\""}) {
    INFO(file);
    REQUIRE(errors(file).size() == 1);
    CHECK_THAT(errors(file).front(), Contains("is not in this version"));
  }
}

TEST_CASE("a value of the wrong type, form or range is refused with what is allowed", "[config][T63]") {
  CHECK(web_error("resources.pids = -1") ==
        "3:18 container.web.resources.pids: container.web.resources.pids cannot be -1 (allowed: an integer, 1 to "
        "4194304)");
  CHECK(web_error("resources.memory.max = \"10KiBB\"") ==
        "3:24 container.web.resources.memory.max: container.web.resources.memory.max cannot be \"10KiBB\" (allowed: "
        "1MiB to 1048576GiB, with its unit: B, KiB, MiB or GiB)");
  for (const char* keys : {
           "resources.memory.max = 268435456",
           "resources.memory.max = \"268435456\"",
           "resources.memory.max = \"-1MiB\"",
           "resources.memory.max = \"0B\"",
           "resources.memory.max = 1e9",
           "resources.memory.max = nan",
           "resources.memory.max = \"1e9B\"",
           "resources.memory = \"1GiB\"",
           "resources = 5",
           "resources.pids = 0",
           "resources.pids = 1e9",
           "resources.pids = nan",
           "resources.pids = \"64\"",
           "resources.pids = 9223372036854775807",
           "resources.cpu.weight = 10001",
           "resources.cpu.max = nan",
           "resources.cpu.max = inf",
           "resources.cpu.max = -1.0",
           "resources.cpu.max = 0.0005",
           "resources.cpu.max = \"1.5\"",
           "resources.cpu.max = 0",
           "init = \"yes\"",
           "init = 1",
           "command = \"/bin/sh\"",
           "command = [1]",
           "workdir = \"srv\"",
           "workdir = \"/a/../b\"",
           "workdir = \"/a//b\"",
           "workdir = \"/a/\"",
           "user = 1000",
           "user = \"1000:\"",
           "user = \"65536\"",
           "user = \"01\"",
           "user = \"-1:0\"",
           "user = \"a b\"",
           "groups = [65536]",
           "groups = [-1]",
           "groups = [1, 1]",
           "hostname = \"Web_1\"",
           "cpus = \"3-1\"",
           "cpus = \"0,0\"",
           "cpus = \"a\"",
           "cpus = \"0,\"",
           "run = \"never\"",
           "restart = \"always\"",
           "restart = { policy = \"sometimes\" }",
           "restart = { window = 10 }",
           "restart = { window = \"10\" }",
           "restart = { window = \"1.0000001s\" }",
           "stop = { signal = \"SIGTREM\" }",
           "stop = { signal = 15 }",
           "stop = { grace = \"2h\" }",
           "log = { rate = \"1MiB\" }",
           "log = { files = 0 }",
           "log = { full = \"explode\" }",
           "env = { A = 1 }",
           "env = { \"A=B\" = \"1\" }",
           "env = { \"\" = \"1\" }",
           "env = [\"A=1\"]",
           "tmpfs = [\"/tmp\"]",
           "tmpfs = { \"/tmp\" = 16 }",
           "tmpfs = { \"/tmp\" = { mode = \"4777\" } }",
           "tmpfs = { \"/tmp\" = { mode = 755 } }",
           "tmpfs = { \"/proc/x\" = \"1MiB\" }",
           "tmpfs = { \"/\" = \"1MiB\" }",
           "tmpfs = { \"/dev\" = \"1MiB\" }",
           "tmpfs = { \"/a/./b\" = \"1MiB\" }",
           "rlimits = { nofile = -1 }",
           "rlimits = { nofile = { soft = 2, hard = 1 } }",
           "rlimits = { nofile = { soft = 2 } }",
           "rlimits = { nofiles = 2 }",
           "rlimits = { core = 1 }",
           "health = { interval = \"1s\" }",
           "health = { exec = \"/bin/true\" }",
           "health = { exec = [\"/a\"], retries = 0 }",
           "allow = { capabilities = [\"SYS_ADMIN\"] }",
           "allow = { capabilities = [\"CHOWM\"] }",
           "allow = { capabilities = [\"CHOWN\", \"CAP_CHOWN\"] }",
           "allow = { capabilities = \"CHOWN\" }",
           "allow = { writable_root = true }",
           "allow = { host_paths = { \"/a\" = \"b\" } }",
           "init = 2026-01-31",
       })
    CHECK_THAT(web_error(keys), StartsWith("3:"));
}

TEST_CASE("an image must be pinned by a whole digest", "[config]") {
  for (const char* image : {"\"broker\"", "\"broker:latest\"", "\"broker@sha256:12\"", "5", "\"@sha256:\"",
                            "\"Broker@sha256:9b2e4c7d1f0a3b5c6d7e8f901a2b3c4d5e6f708192a3b4c5d6e7f80912a3b4c5\"",
                            "\"broker@sha256:9B2E4C7D1F0A3B5C6D7E8F901A2B3C4D5E6F708192A3B4C5D6E7F80912A3B4C5\""}) {
    INFO(image);
    const auto all = errors(std::string("[container.web]\nimage = ") + image);
    REQUIRE(all.size() == 1);
    CHECK_THAT(all.front(), StartsWith("2:9 container.web.image: "));
  }
  CHECK_THAT(errors("[container.web]\n").front(), StartsWith("1:") && Contains("container.web has no image"));
}

TEST_CASE("capabilities that act on the host only, and SYS_ADMIN, are refused with the reason", "[config]") {
  for (const char* name : {"SYS_TIME", "CAP_SYS_TIME", "SYS_MODULE", "SYS_BOOT", "SYSLOG", "SYS_RAWIO", "MKNOD", "BPF"})
    CHECK_THAT(web_error(std::string("allow.capabilities = [\"") + name + "\"]"),
               Contains("acts on the host only") && Contains("host_users, which is not in this version"));
  CHECK_THAT(web_error("allow.capabilities = [\"SYS_ADMIN\"]"), Contains("could undo the container's own mounts"));
  CHECK_THAT(web_error("allow.capabilities = [\"chown\"]"), Contains("no capability is called \"chown\""));
}

TEST_CASE("host paths that hold the host's secrets or orlop's own state are refused", "[config]") {
  for (const char* path : {"/", "/etc", "/proc", "/proc/1/root", "/sys", "/sys/fs/cgroup", "/dev", "/dev/sda", "/run",
                           "/run/orlop", "/run/orlop/control.sock", "/var", "/var/lib", "/var/lib/orlop",
                           "/var/lib/orlop/images", "/etc/../proc", "relative", ""})
    CHECK_THAT(web_error(std::string("allow.host_paths = { \"/a\" = \"") + path + "\" }"), StartsWith("3:"));
  CHECK(good_web("allow.host_paths = { \"/a\" = \"/run/orlopper\", \"/b\" = \"/etc/ssl\" }").allow.host_paths.size() ==
        2);
}

TEST_CASE("a syntax error is reported alone, at its line and column", "[config][T63]") {
  const auto all = errors("[host]\nnaem = \"a\"\n\n[container.web\nimage = 5\n");
  REQUIRE(all.size() == 1);
  CHECK_THAT(all.front(), StartsWith("4:") && Contains("not TOML") && Contains("[container.web"));
}

TEST_CASE("all other errors of a file are reported at once, in its order", "[config]") {
  const auto all = errors(
      "[volume.Data]\n[container.web]\nimage = \"x\"\nresources = { pids = 0, memory = { max = 1 } }\nafter = "
      "[\"db\"]\n"
      "[container.a]\nimag = \"\"\n[host]\nports = 1\nname = \"_\"\n");
  for (const std::string& line : all) UNSCOPED_INFO(line);
  REQUIRE(all.size() == 9);
  const std::vector<std::string> starts = {"1:9 ", "3:9 ", "4:22 ", "4:42 ", "5:9 ", "6:1 ", "7:1 ", "9:1 ", "10:8 "};
  for (std::size_t i = 0; i < starts.size(); ++i) CHECK_THAT(all[i], StartsWith(starts[i]));
}

TEST_CASE("a key or table given twice is refused", "[config][T63]") {
  for (const char* file : {"[host]\nname = \"a\"\nname = \"b\"", "[host]\n[host]", "[volume.a]\n[volume.a]",
                           "host.name = \"a\"\n[host]\nname = \"b\"", "[host]\nreserve = { cpu = 1, cpu = 2 }"}) {
    INFO(file);
    CHECK(errors(file).size() == 1);
  }
}

TEST_CASE("a homoglyph is shown by its code point", "[config][T63]") {
  CHECK_THAT(web_error("\"c\u043Emmand\" = []"), Contains("unknown key \"c\\u043Emmand\" (did you mean command?)"));
  CHECK_THAT(web_error("\"resources.pids\" = 5"), Contains("unknown key \"resources.pids\""));
  CHECK_THAT(errors("[volume.\"\u0430\"]").front(), Contains("\"\\u0430\" cannot be a key of volume"));
  CHECK(errors("c\u043Emmand = 1").front() ==
        "1:2 : \"\\u043E\" stands outside quotes (outside text and comments TOML is ASCII: a letter may only look "
        "right)");
}

TEST_CASE("text keeps every code point, and those of private use beyond U+FFFFF are refused", "[config]") {
  const std::string text = "a\u0080\u00FC\u0499\u07FF\u0800\uFEFF\uFFFD\U00010000\U0001F6A2\U000FFFFF";
  CHECK(good_web("env = { A = \"" + text + "\", B = '" + text + "' } # " + text).env.at("A") == text);
  CHECK(good_web("env = { A = \"" + text + "\", B = '" + text + "' }").env.at("B") == text);
  CHECK(good_web("env = { A = \"\\u00FC\\U0001F6A2\" }").env.at("A") == "\u00FC\U0001F6A2");
  CHECK_THAT(web_error("env = { A = \"\U0010FFFF\" }"), Contains("private-use"));
  CHECK_THAT(web_error("env = { A = \"\\U0010FFFF\" }"), Contains("private-use"));
  CHECK(good_web("env = { A = '\\U0010FFFF' }").env.at("A") == "\\U0010FFFF");
  for (const char* wrong : {"\xED\xA0\x80", "\xC0\x80", "\xE0\x80\x80", "\xF5\x80\x80\x80", "\xC3"})
    CHECK(errors(web(std::string("env = { A = \"") + wrong + "\" }")).size() == 1);
  CHECK(errors(web("env = { A = 0=\"\u00FC\" }")).size() == 1);  // the library's own undefined behaviour, kept away
}

TEST_CASE("NUL bytes, escaped or not, and a byte order mark are refused", "[config][T63]") {
  using namespace std::string_view_literals;
  CHECK_THAT(errors("[host]\nname = \"a\0b\""sv).front(), StartsWith("2:10 ") && Contains("NUL"));
  CHECK_THAT(web_error("command = [\"a\\u0000b\"]"), StartsWith("3:12 ") && Contains("holds a NUL"));
  CHECK_THAT(web_error("env = { \"A\\u0000\" = \"b\" }"), Contains("holds a NUL"));
  CHECK_THAT(errors("\xEF\xBB\xBF[host]").front(), StartsWith("1:1 ") && Contains("byte order mark"));
  CHECK(errors("\xFF\xFE[\0h\0"sv).size() == 1);
  CHECK(errors("[host]\nname = \"\xC3\x28\"").size() == 1);
}

TEST_CASE("numbers outside what TOML knows are refused, not clamped", "[config][T63]") {
  for (const char* number : {"9223372036854775808", "-9223372036854775809", "0x1FFFFFFFFFFFFFFFF", "1e999", "01", "+"})
    CHECK(errors(web(std::string("resources.pids = ") + number)).size() == 1);
}

TEST_CASE("a file of 64 MiB is refused at once", "[config][T63]") {
  const auto start = std::chrono::steady_clock::now();
  const auto all = errors(std::string(64U << 20, '#'));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  REQUIRE(all.size() == 1);
  CHECK_THAT(all.front(), Contains("67108864 bytes") && Contains("at most 1048576 bytes"));
}

TEST_CASE("10,000 levels of nesting are refused, however they are written", "[config][T63]") {
  const auto times = [](std::size_t count, std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += text;
    return out;
  };
  constexpr std::size_t deep = 10'000;
  for (const std::string& file :
       {"a = " + times(deep, "["), "a = " + times(deep, "[") + times(deep, "]"), "a = " + times(deep, "{a="),
        "a" + times(deep, ".a") + " = 1", "[a" + times(deep, ".a") + "]", "a" + times(500'000, ".a") + " = 1",
        "a" + times(deep, ".\"a\"") + " = 1", "a" + times(deep, " . 'a'") + " = 1",
        "a = [" + times(deep, "{" + std::string("a") + times(30, ".a") + " = [\n")})
    CHECK(errors(file).size() == 1);
  // The deepest that the reader takes must not end the process either.
  const std::string nested = "a = " + times(30, "[{a" + times(32, ".a") + " = \n");
  CHECK_FALSE(errors(nested).empty());
  CHECK(errors(times(1000, "[a" + times(32, ".a") + "]\n")).size() == 1);
  CHECK(errors("[a" + times(32, ".a") + "]\n").size() == 1);
}

TEST_CASE("dots inside text and comments are no nesting", "[config]") {
  std::string dots(100, '.');
  CHECK(good_web("command = [\"" + dots + "\", '" + dots + "', \"\\\"" + dots + "\", \"\"\"\n" + dots +
                 "\"\"\"\", '''" + dots + "'''] # " + dots)
            .command->size() == 5);
}

TEST_CASE("columns count bytes", "[config]") {
  CHECK_THAT(web_error("env = { A = \"\u00FC\u00FC\", B = 1 }"), StartsWith("3:25 "));
}

TEST_CASE("every prefix of a good file is either good or refused with a place", "[config][T63]") {
  const std::string file =
      "[volume.a]\n" +
      web("command = [\"a\", 'b', \"\"\"c\"\"\"]\nresources = { pids = 5, cpu.max = 1.5 }\nenv.\"A\" = "
          "\"\\u00e9\"\nvolumes = { \"/a\" = { volume = \"a\" } }");
  for (std::size_t size = 0; size <= file.size(); ++size) (void)errors(std::string_view(file).substr(0, size));
  for (std::size_t at = 0; at < file.size(); ++at)
    for (const char c : {'\0', '"', '[', '.', '\n', '\x80', '='}) {
      std::string changed = file;
      changed[at] = c;
      (void)errors(changed);
    }
  for (std::size_t at = 0; at <= file.size(); ++at)
    for (const char* point :
         {"\u00A0", "\u00A1", "\u043E", "\u1681", "\u2028", "\u3001", "\uFEFF", "\U0001F6A2", "\xC3"})
      (void)errors(std::string(file).insert(at, point));
}

TEST_CASE("a file made of errors alone is refused in a moment", "[config][T63]") {
  const auto repeated = [](std::string_view text) {
    std::string out;
    for (std::size_t i = 0; out.size() < max_file_bytes - 64; ++i) {
      std::string part(text);
      if (const std::size_t at = part.find('%'); at != std::string::npos) part.replace(at, 1, std::to_string(i));
      out += part;
    }
    return out;
  };
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& file : {repeated("[container.c%]\n"), repeated("[container.c%]\nafter=[\"d\",\"e\",\"f\"]\n"),
                                  repeated("resuorces%=1\n"), web("command = [" + repeated("\"\u00FC\",") + "]"),
                                  web("groups = [" + repeated("%,") + "]")})
    CHECK(errors(file).size() <= max_errors + 1);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  CHECK_THAT(errors(repeated("resuorces%=1\n")).back(), Contains("more errors are left out"));
}
