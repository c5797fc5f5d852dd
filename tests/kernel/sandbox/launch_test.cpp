#include <catch2/catch.hpp>

#include "tests/kernel/sandbox/contained.hpp"

using namespace orlop;
using namespace orlop::sandbox;
using Catch::Matchers::Contains;

TEST_CASE("a contained busybox runs as its own user, process 1 of its own namespaces",
          "[sandbox][root][maturity/H2b]") {
  const Finished done = run(busybox("id; echo pid $$; hostname; echo $PATH; pwd"));
  INFO((done.failure ? text(done.explained) : "") << done.output);
  REQUIRE_FALSE(done.failure);
  CHECK_THAT(done.output, Contains("uid=1000 gid=1000"));
  CHECK_THAT(done.output, Contains("pid 1\n"));
  CHECK_THAT(done.output, Contains("\ntest\n/bin\n/\n"));
  CHECK(done.status == 0);
}

TEST_CASE("no capability is in any set, no new privileges can be had and the filter is on", "[sandbox][root][T14]") {
  const Finished done = run(busybox("cat /proc/self/status"));
  INFO(done.output);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    CHECK_THAT(done.output, Contains(std::string(set) + ":\t0000000000000000"));
  CHECK_THAT(done.output, Contains("NoNewPrivs:\t1"));
  CHECK_THAT(done.output, Contains("Seccomp:\t2"));
}

TEST_CASE("the root cannot be written, remounted or mounted on", "[sandbox][root][T07]") {
  const Finished done =
      run(busybox("touch /x; mkdir /y; mount -o remount,rw /; mount --bind /tmp /run; unshare -U true; grep ' / ' "
                  "/proc/self/mountinfo"));
  INFO(done.output);
  CHECK_THAT(done.output, Contains("touch: /x: Read-only file system"));
  CHECK_THAT(done.output, Contains("can't create directory '/y': Read-only file system"));
  CHECK_THAT(done.output, Contains("remount") || Contains("permission denied"));
  CHECK_THAT(done.output, Contains("ro,nosuid,nodev"));
  CHECK_THAT(done.output, !Contains("old"));
}

TEST_CASE("only the declared mounts are there, and only own processes and descriptors are seen",
          "[sandbox][root][T09]") {
  const Finished done =
      run(busybox("cut -d' ' -f5 /proc/self/mountinfo | sort -u; ls /proc | grep -c '^[0-9]'; ls /proc/self/fd | wc "
                  "-l; cat /proc/cmdline /proc/keys | wc -c"));
  INFO(done.output);
  CHECK_THAT(done.output, Contains("/dev/shm\n"));
  CHECK_THAT(done.output, !Contains("/work"));
}

TEST_CASE("a program that is not there, or may not run, is told in words", "[sandbox][root]") {
  Spec spec = busybox("");
  spec.argv = {"nothing"};
  Finished done = run(spec);
  REQUIRE(done.failure);
  CHECK(done.failure->errno_value == ENOENT);
  CHECK_THAT(text(done.explained), Contains("the image has no such program"));
  CHECK(WEXITSTATUS(done.status) == exit_not_started);
  spec.argv = {"/etc"};
  done = run(spec);
  REQUIRE(done.failure);
  CHECK_THAT(text(done.explained), Contains("not executable"));
}

TEST_CASE("a mount target behind a link is refused, inside and out", "[sandbox][root][T01]") {
  Spec spec = busybox("true");
  spec.tmpfs.push_back({"/link/x", 1_MiB, 16, 0755});
  const Finished done = run(spec);
  REQUIRE(done.failure);
  CHECK_THAT(text(done.explained), Contains("mount tmpfs /link/x") && Contains("link stands in the path"));
}

TEST_CASE("a working directory moves nothing of what the container may read, write and run", "[sandbox][root]") {
  Spec spec = busybox("pwd; echo written >/run/x; cat /run/x; /bin/true; echo $?");
  spec.workdir = "/data";
  const Finished done = run(spec);
  INFO((done.failure ? text(done.explained) : "") << done.output);
  REQUIRE_FALSE(done.failure);
  CHECK(done.output == "/data\nwritten\n0\n");
}

TEST_CASE("tmpfs takes its size and no more, and runs no program", "[sandbox][root][T08][T36]") {
  const Finished done =
      run(busybox("dd if=/dev/zero of=/tmp/f bs=1M count=20 2>&1; wc -c </tmp/f; cp /bin/busybox /run/x; chmod 755 "
                  "/run/x; /run/x true; echo $?"));
  INFO(done.output);
  CHECK_THAT(done.output, Contains("No space left") && Contains("16777216"));
  CHECK_THAT(done.output, Contains("/run/x: Permission denied"));
}

TEST_CASE("/dev holds the documented nodes and its standard streams can be reopened", "[sandbox][root][T30]") {
  const Finished done =
      run(busybox("ls /dev; echo reopened >/dev/stdout; echo x >/dev/null; dd if=/dev/zero bs=8 count=1 2>/dev/null | "
                  "wc -c; mknod /tmp/a c 1 3 2>&1"));
  INFO(done.output);
  CHECK_THAT(done.output,
             Contains("fd\nfull\nlog\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n"));
  CHECK_THAT(done.output, Contains("\nreopened\n8\n"));
  CHECK_THAT(done.output, Contains("Operation not permitted"));
}

TEST_CASE("a writable root takes writes that are gone at the next start", "[sandbox][root][maturity/D1b]") {
  Spec spec = busybox("echo kept >/file && cat /file; touch /bin/new && ls /bin/new; mount | grep ' / '");
  spec.uid = spec.gid = 0;
  spec.writable_root = 8_MiB;
  const Finished done = run(spec);
  INFO((done.failure ? text(done.explained) : "") << done.output);
  REQUIRE_FALSE(done.failure);
}

TEST_CASE("a capability that is allowed is there for a user that is not root", "[sandbox][root]") {
  Spec spec = busybox("grep Cap /proc/self/status");
  spec.capabilities = 1ULL << 10;  // CAP_NET_BIND_SERVICE
  const Finished done = run(spec);
  INFO((done.failure ? text(done.explained) : "") << done.output);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    CHECK_THAT(done.output, Contains(std::string(set) + ":\t0000000000000400"));
}

TEST_CASE("a child whose gate closes without a byte ends without running anything", "[sandbox][root]") {
  Resources resources;
  resources.first_id = test_first_id;
  resources.root = busybox_root();
  resources.dev = need(make_dev());
  for (UniqueFd* fd : {&resources.standard_input, &resources.standard_output, &resources.standard_error})
    *fd = need(sys::open("/dev/null", O_RDWR));
  resources.filter = std::make_shared<const SeccompFilter>(need(compile_filter(0)));
  const std::unique_ptr<Plan> plan = need(make_plan(busybox("true"), std::move(resources), probe_kernel()));
  Launched child = need(launch(*plan, Parentage::of_caller));
  child.gate.reset();
  const std::optional<StepFailure> failure = need(read_report(child.report));
  REQUIRE(failure);
  CHECK(static_cast<Op>(failure->op) == Op::await_gate);
  int status = 0;
  REQUIRE(::waitpid(child.pid, &status, 0) == child.pid);
  CHECK(WEXITSTATUS(status) == exit_not_started);
}

TEST_CASE("a process that joins a running container has its namespaces, ids and confinement", "[sandbox][root]") {
  Resources resources;
  resources.first_id = test_first_id;
  resources.root = busybox_root();
  resources.dev = need(make_dev());
  const sys::Pipe input = need(sys::pipe());
  resources.standard_input = need(sys::duplicate(input.read));
  resources.standard_output = need(sys::open("/dev/null", O_RDWR));
  resources.standard_error = need(sys::open("/dev/null", O_RDWR));
  resources.filter = std::make_shared<const SeccompFilter>(need(compile_filter(0)));
  const auto filter = resources.filter;
  const std::unique_ptr<Plan> plan =
      need(make_plan(busybox("hostname; cat >/tmp/wait"), std::move(resources), probe_kernel()));
  Launched container = need(launch(*plan, Parentage::of_caller));
  need(release(container.gate));
  REQUIRE_FALSE(need(read_report(container.report)));

  const sys::Pipe output = need(sys::pipe());
  need(::fchown(output.write.get(), test_first_id + 1000, test_first_id + 1000) >= 0);
  Resources joining;
  joining.joined = need(sys::duplicate(container.pidfd));
  joining.standard_input = need(sys::open("/dev/null", O_RDONLY));
  joining.standard_output = need(sys::duplicate(output.write));
  joining.standard_error = need(sys::duplicate(output.write));
  joining.filter = filter;
  std::unique_ptr<Plan> join = need(make_join_plan(
      busybox("id -u; hostname; grep -E 'Cap|Seccomp:|NoNew' /proc/self/status; ls -d /tmp/wait; touch /x; ps"),
      std::move(joining), probe_kernel()));
  Launched probe = need(launch(*join, Parentage::of_caller));
  need(release(probe.gate));
  const auto failure = need(read_report(probe.report));
  INFO((failure ? text(explain(*failure, join.get())) : ""));
  CHECK_FALSE(failure);
  join.reset();
  const_cast<UniqueFd&>(output.write).reset();
  const std::string written = need(read_all(output.read, 1U << 20));
  INFO(written);
  CHECK_THAT(written, Contains("1000\ntest\n") && Contains("Seccomp:\t2") && Contains("NoNewPrivs:\t1") &&
                          Contains("/tmp/wait"));
  CHECK_THAT(written, Contains("CapBnd:\t0000000000000000") && Contains("CapEff:\t0000000000000000"));
  CHECK_THAT(written, Contains("Read-only file system"));
  int status = 0;
  CHECK(::waitpid(probe.pid, &status, 0) == probe.pid);
  need(sys::pidfd_send_signal(container.pidfd, SIGKILL));
  CHECK(::waitpid(container.pid, &status, 0) == container.pid);
}
