#include "cli/output/container_view.hpp"

#include <catch2/catch.hpp>

namespace orlop::cli {
namespace {

using namespace std::chrono_literals;
const WallTime now = parse_rfc3339("2026-01-31T12:00:00Z").value();

Json container(const char* name, const char* state, const char* health) {
  return {{"name", name},
          {"state", state},
          {"health", health},
          {"pid", 41},
          {"started", rfc3339(now - 90s)},
          {"restarts", 0},
          {"exit_code", nullptr},
          {"reason", "healthy"},
          {"image", "shop/web@sha256:0123456789abcdef0123456789abcdef"}};
}

TEST_CASE("the table of containers shows what an operator looks for first", "[cli]") {
  Json failed = container("job", "failed", "none");
  failed["pid"] = 0;
  failed["exit_code"] = 137;
  failed["reason"] = "restart limit (5 within 10min)";
  CHECK(containers_text(Json::array({container("web", "running", "healthy"), failed}), {}, now) ==
        "NAME  STATE    HEALTH   PID  RESTARTS  STARTED  EXIT  REASON                          IMAGE\n"
        "web   running  healthy   41         0     1min     -  healthy                         "
        "shop/web@sha256:0123456789ab\n"
        "job   failed   -          -         0     1min   137  restart limit (5 within 10min)  "
        "shop/web@sha256:0123456789ab\n");
}

TEST_CASE("the table of containers fits 40 columns", "[cli]") {
  CHECK(containers_text(Json::array({container("web", "running", "healthy")}), {.columns = 40}, now) ==
        "NAME  STATE    HEALTH   STARTED  REASON\n"
        "web   running  healthy     1min  healthy\n");
}

TEST_CASE("a container that never ran has neither age nor exit", "[cli]") {
  Json pending = container("web", "pending", "none");
  pending["started"] = nullptr;
  pending["pid"] = 0;
  pending["reason"] = "";
  const std::string text = containers_text(Json::array({pending}), {.columns = 60}, now);
  CHECK(text.substr(text.find('\n') + 1) == "web   pending  -         -         0        -     -  -\n");
}

TEST_CASE("well is a container that runs and is not unhealthy", "[cli]") {
  CHECK(is_well(container("web", "running", "healthy")));
  CHECK(is_well(container("web", "running", "none")));
  CHECK(is_well(container("web", "running", "starting")));
  CHECK_FALSE(is_well(container("web", "running", "unhealthy")));
  for (const char* state : {"pending", "preparing", "starting", "stopping", "exited", "backoff", "stopped", "failed"})
    CHECK_FALSE(is_well(container("web", state, "none")));
}

TEST_CASE("a supervisor that simply runs is not spoken of; a damaged one says why", "[cli]") {
  CHECK(supervisor_text({{"state", "running"}}, {}).empty());
  CHECK(supervisor_text({{"state", "hands-off"}}, {}) == "supervisor: hands-off\n");
  CHECK(supervisor_text({{"state", "damaged"}, {"damage", "a file is torn"}}, {}) ==
        "supervisor: damaged: a file is torn\n");
}

TEST_CASE("a plan is printed with a sign for each thing to do", "[cli]") {
  const Json plan = {{"plan",
                      {{{"action", "create"}, {"name", "a"}, {"why", "new"}},
                       {{"action", "replace"}, {"name", "b"}, {"why", "its configuration changed"}},
                       {{"action", "remove"}, {"name", "c"}, {"why", "not in the host file"}},
                       {{"action", "keep"}, {"name", "d"}, {"why", ""}}}}};
  CHECK(plan_text(plan, {}) ==
        "+ create a (new)\n~ replace b (its configuration changed)\n- remove c (not in the host file)\n= keep d\n");
}

TEST_CASE("inspect shows limits beside what is used of them", "[cli]") {
  Json full = container("web", "running", "healthy");
  full["limits"] = {{"memory", {{"max_bytes", 268435456}}}, {"cpu", {{"max_millis", 1500}}}, {"pids_max", 256}};
  full["usage"] = {{"memory_bytes", 1048576}, {"memory_peak_bytes", 2097152}, {"cpu_ns", 2500000000}, {"pids", 3}};
  full["loosened"] = {"allow.root_user"};
  const std::string text = inspect_text(full, {}, now);
  CHECK(text.find("memory:     1.0MiB of 256.0MiB, peak 2.0MiB\n") != std::string::npos);
  CHECK(text.find("cpu:        2.50s used, at most 1.5 CPUs\n") != std::string::npos);
  CHECK(text.find("processes:  3 of 256\n") != std::string::npos);
  CHECK(text.find("loosened:   allow.root_user\n") != std::string::npos);
  CHECK(text.find("started:    2026-01-31T11:58:30") != std::string::npos);
}

TEST_CASE("what a supervisor of another version leaves out or writes otherwise is shown as unknown, not a crash",
          "[cli]") {
  for (const Json& strange : {Json::object(), Json(7), Json::array({1}), Json({{"name", 3}, {"limits", "none"}})}) {
    CHECK_NOTHROW(containers_text(Json::array({strange}), {}, now));
    CHECK_NOTHROW(inspect_text(strange, {}, now));
    CHECK_NOTHROW(plan_text(strange, {}));
    CHECK_NOTHROW(volumes_text(strange, {}));
    CHECK_FALSE(is_well(strange));
    CHECK(find_container(strange, "web") == nullptr);
  }
}

TEST_CASE("what a container says of its health cannot act on the terminal [T37]", "[cli][T37]") {
  Json loud = container("web", "running", "unhealthy");
  loud["health_output"] = "\033[2Jall is well";
  CHECK(inspect_text(loud, {}, now).find("said:       \\x1b[2Jall is well\n") != std::string::npos);
}

TEST_CASE("volumes are listed with who mounts them and where", "[cli]") {
  const Json answer = {{"volumes",
                        {{{"name", "data"},
                          {"path", "/var/lib/orlop/volumes/data/data"},
                          {"declared", true},
                          {"mounted_by", {{{"container", "db"}, {"target", "/data"}, {"mode", "rw"}}}}}}}};
  CHECK(volumes_text(answer, {}) ==
        "NAME  IN HOST FILE  MOUNTED BY     PATH\n"
        "data  yes           db:/data (rw)  /var/lib/orlop/volumes/data/data\n");
}

TEST_CASE("JSON for programs is ASCII, so that it cannot act on a terminal either [T37]", "[cli][T37]") {
  CHECK(printed({{"log", "\033[2J\u202e"}}) == "{\n  \"log\": \"\\u001b[2J\\u202e\"\n}\n");
}

TEST_CASE("an answer that is no JSON is said to be of another version", "[cli]") {
  const Result<Json> json = parse_json("{");
  REQUIRE_FALSE(json);
  CHECK(json.error().kind == ErrorKind::unsupported);
}

}  // namespace
}  // namespace orlop::cli
