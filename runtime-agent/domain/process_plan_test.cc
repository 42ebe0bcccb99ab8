#include "runtime-agent/domain/process_plan.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>

#include "runtime-agent/supervisor/plan.h"

namespace slipway::agent {
namespace {

Definition Minimal() {
  Definition definition;
  definition.id = "c";
  definition.argv = {"true"};
  definition.env = {"PATH=/bin"};
  definition.working_directory = "/w";
  definition.hostname = "h";
  definition.shm_size_bytes = 1 << 20;
  definition.network.kind = NamespaceMode::Kind::kNone;
  definition.masked_paths = {"/proc/kcore"};
  definition.read_only_paths = {"/proc/sys"};
  return definition;
}

// The steps of a plan with their target, in order.
std::vector<std::string> StepsOf(const Plan& plan) {
  PlanView view;
  EXPECT_TRUE(
      view.Parse(plan.bytes.data(), plan.bytes.size(), static_cast<uint32_t>(plan.fds.size())));
  std::vector<std::string> steps;
  for (uint32_t i = 0; i < view.step_count(); ++i) {
    const PlanStepRecord& step = view.step(i);
    steps.push_back(std::string(PlanStepName(static_cast<PlanStep>(step.step))) + " " +
                    view.text(step, 1));
  }
  return steps;
}

size_t At(const std::vector<std::string>& steps, const std::string& step) {
  const auto found = std::find(steps.begin(), steps.end(), step);
  EXPECT_NE(found, steps.end()) << step;
  return static_cast<size_t>(found - steps.begin());
}

TEST(ContainerPlan, MountsComeParentsFirstAndAreHiddenAfterwards) {
  Definition definition = Minimal();
  definition.mounts = {{.source = "/s", .target = "/data"},
                       {.kind = DefinedMount::Kind::kTmpfs, .target = "/data/tmp"}};
  RunBindings bindings;
  bindings.mounts.resize(2);
  bindings.hierarchies = {{"memory", "cgroup", "memory"}};
  const auto plan = CompileContainerPlan(definition, std::move(bindings));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto steps = StepsOf(*plan);
  EXPECT_LT(At(steps, "mount /proc"), At(steps, "mount /dev"));
  EXPECT_LT(At(steps, "mount /dev"), At(steps, "mount /dev/pts"));
  EXPECT_LT(At(steps, "mount /sys"), At(steps, "mount /sys/fs/cgroup"));
  EXPECT_LT(At(steps, "mount /sys/fs/cgroup"), At(steps, "mount /sys/fs/cgroup/memory"));
  EXPECT_LT(At(steps, "bind mount /data"), At(steps, "mount /data/tmp"));
  EXPECT_LT(At(steps, "mount /data/tmp"), At(steps, "mask path /proc/kcore"));
}

TEST(ContainerPlan, OwnMountsReplaceDockers) {
  Definition definition = Minimal();
  definition.mounts = {{.source = "/s", .target = "/dev"}, {.source = "/s", .target = "/sys"}};
  RunBindings bindings;
  bindings.mounts.resize(2);
  const auto plan = CompileContainerPlan(definition, std::move(bindings));
  ASSERT_TRUE(plan.ok());
  const auto steps = StepsOf(*plan);
  EXPECT_THAT(steps, testing::Not(testing::Contains("mount /dev")));
  EXPECT_THAT(steps, testing::Not(testing::Contains("mount /dev/pts")));
  EXPECT_THAT(steps, testing::Not(testing::Contains("device /dev/null")));
  EXPECT_THAT(steps, testing::Not(testing::Contains("mount /sys")));
}

UniqueFd SomeFile() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(ContainerPlan, NoMountHidesTheFilesOfEtc) {
  Definition definition = Minimal();
  definition.mounts = {{.source = "/s", .target = "/etc"},
                       {.source = "/h", .target = "/etc/hosts"}};
  RunBindings bindings;
  bindings.mounts.resize(2);
  bindings.resolv_file = SomeFile();
  bindings.hostname_file = SomeFile();
  bindings.hosts_file = SomeFile();
  const auto plan = CompileContainerPlan(definition, std::move(bindings));
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto steps = StepsOf(*plan);
  EXPECT_LT(At(steps, "bind mount /etc"), At(steps, "bind mount /etc/resolv.conf"));
  EXPECT_LT(At(steps, "bind mount /etc"), At(steps, "bind mount /etc/hostname"));
  // The user's own file stays.
  EXPECT_EQ(std::count(steps.begin(), steps.end(), "bind mount /etc/hosts"), 1);
}

TEST(ContainerPlan, ASharedTmpfsLeavesTheRootAlone) {
  Definition definition = Minimal();
  definition.mounts = {
      {.kind = DefinedMount::Kind::kTmpfs, .target = "/t", .propagation = MS_SHARED}};
  const auto plan = CompileContainerPlan(definition, RunBindings());
  ASSERT_TRUE(plan.ok()) << plan.status();
  PlanView view;
  ASSERT_TRUE(
      view.Parse(plan->bytes.data(), plan->bytes.size(), static_cast<uint32_t>(plan->fds.size())));
  EXPECT_EQ(view.Find(PlanStep::kRootPropagation), nullptr);
  uint64_t propagation = 0;
  for (uint32_t i = 0; i < view.step_count(); ++i) {
    if (view.text(view.step(i), 1) == std::string("/t")) propagation = view.step(i).c;
  }
  EXPECT_EQ(propagation, uint64_t{MS_SHARED});
}

TEST(ContainerPlan, HostNamespacesAreNotMade) {
  Definition definition = Minimal();
  definition.pid.kind = definition.ipc.kind = definition.uts.kind = definition.cgroup.kind =
      NamespaceMode::Kind::kHost;
  const auto plan = CompileContainerPlan(definition, RunBindings());
  ASSERT_TRUE(plan.ok());
  PlanView view;
  ASSERT_TRUE(
      view.Parse(plan->bytes.data(), plan->bytes.size(), static_cast<uint32_t>(plan->fds.size())));
  EXPECT_EQ(view.header().clone_flags, uint64_t{CLONE_NEWNS});
  EXPECT_EQ(view.Find(PlanStep::kHostname), nullptr);
  EXPECT_EQ(view.Find(PlanStep::kUnshare), nullptr);
}

TEST(ContainerPlan, RemappedUsersAndAnInit) {
  Definition definition = Minimal();
  definition.init = true;
  definition.first_uid = 1000;
  definition.first_gid = 2000;
  RunBindings bindings;
  bindings.user = {.uid = 5, .gid = 6};
  bindings.user_namespace = UniqueFd(open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  const auto plan = CompileContainerPlan(definition, std::move(bindings));
  ASSERT_TRUE(plan.ok()) << plan.status();
  PlanView view;
  ASSERT_TRUE(
      view.Parse(plan->bytes.data(), plan->bytes.size(), static_cast<uint32_t>(plan->fds.size())));
  EXPECT_NE(view.header().flags & kPlanInit, 0u);
  EXPECT_EQ(view.Find(PlanStep::kFileOwner)->a, 1000u);
  EXPECT_EQ(view.Find(PlanStep::kFileOwner)->b, 2000u);
  EXPECT_EQ(view.Find(PlanStep::kHostStdioOwner)->a, 1005u);
  ASSERT_NE(view.Find(PlanStep::kUserNamespace), nullptr);
  EXPECT_EQ(view.Find(PlanStep::kUser)->a, 5u);
}

TEST(ContainerPlan, AUserHasNoCapabilitiesOfItsOwn) {
  Definition definition = Minimal();
  definition.capabilities = 0xff;
  RunBindings bindings;
  bindings.user = {.uid = 5, .gid = 6, .groups = {7, 8}, .home = "/home/x"};
  const auto plan = CompileContainerPlan(definition, std::move(bindings));
  ASSERT_TRUE(plan.ok());
  PlanView view;
  ASSERT_TRUE(
      view.Parse(plan->bytes.data(), plan->bytes.size(), static_cast<uint32_t>(plan->fds.size())));
  EXPECT_EQ(view.Find(PlanStep::kBoundingSet)->a, 0xffu);
  EXPECT_EQ(view.Find(PlanStep::kCapabilities)->a, 0u);
  EXPECT_EQ(view.Find(PlanStep::kUser)->a, 5u);
  EXPECT_EQ(view.Find(PlanStep::kUser)->blob_size, 8u);
}

TEST(ExecPlan, NeedsAProcessAndNoSpool) {
  ExecCommand command{.argv = {"sh"}, .tty = true, .rows = 3, .columns = 4};
  ExecBindings bindings;
  bindings.namespaces = CLONE_NEWNS | CLONE_NEWPID;
  const auto plan = CompileExecPlan(Minimal(), command, std::move(bindings));
  ASSERT_TRUE(plan.ok()) << plan.status();
  PlanView view;
  ASSERT_TRUE(
      view.Parse(plan->bytes.data(), plan->bytes.size(), static_cast<uint32_t>(plan->fds.size())));
  EXPECT_EQ(view.Find(PlanStep::kTty)->a, (3u << 16) + 4);
  EXPECT_NE(view.Find(PlanStep::kSecondClone), nullptr);
  EXPECT_EQ(view.header().spool_fd, -1);
}

TEST(CgroupHierarchies, FromMountinfo) {
  const auto found = ParseCgroupHierarchies(
      "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
      "50 31 0:38 / /elsewhere rw - cgroup2 cgroup2 rw\nbroken\n");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].directory, "cpu,cpuacct");
  EXPECT_EQ(found[0].options, "cpu,cpuacct");
  EXPECT_EQ(found[1].options, "name=systemd");
  EXPECT_EQ(found[2].type, "cgroup2");
  EXPECT_EQ(found[2].options, "");
}

}  // namespace
}  // namespace slipway::agent
