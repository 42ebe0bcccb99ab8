#include "runtime-agent/kernel/cgroup.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/file.h"
#include "gtest/gtest.h"
#include "runtime-agent/kernel/cgroup_files.h"
#include "runtime-agent/kernel/device_program.h"

namespace slipway::agent {
namespace {

namespace fs = std::filesystem;

std::string TestPrefix() { return absl::StrCat("swtest-", getpid()); }

// A child in the group, by the way that the group's version wants.
pid_t StartIn(const CgroupJoin& join, const std::function<int()>& work) {
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  if (join.clone_into_fd.ok()) {
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(join.clone_into_fd.get());
  }
  auto pid = static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof(arguments)));
  if (pid != 0) return pid;
  for (const UniqueFd& fd : join.self_join_fds) {
    if (write(fd.get(), "0", 1) != 1) _exit(99);
  }
  _exit(work());
}

int WaitFor(pid_t pid) {
  int status = 0;
  return waitpid(pid, &status, 0) == pid ? status : -1;
}

int SleepForever() {
  for (;;) pause();
}

// What every implementation promises; run on the kernel's own hierarchies.
class CgroupDriverTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto mounts = FindCgroupMounts();
    ASSERT_TRUE(mounts.ok()) << mounts.status();
    if (GetParam() == "v1" ? mounts->v1.empty() : mounts->v2.empty()) {
      GTEST_SKIP() << "no cgroup " << GetParam() << " hierarchy here";
    }
    CgroupOptions options{.prefix = TestPrefix()};
    auto driver = GetParam() == "v1" ? NewCgroupV1Driver(options) : NewCgroupV2Driver(options);
    ASSERT_TRUE(driver.ok()) << driver.status();
    driver_ = *std::move(driver);
  }
  void TearDown() override {
    if (driver_ != nullptr) {
      std::vector<std::string> names = *driver_->ListGroups();
      for (const std::string& name : names) {
        EXPECT_TRUE(driver_->Kill(name).ok());
        EXPECT_TRUE(driver_->Remove(name).ok()) << name;
      }
    }
    auto mounts = FindCgroupMounts();
    for (const auto& v1 : mounts->v1) rmdir((v1.mount_point + "/" + TestPrefix()).c_str());
    rmdir((mounts->v2 + "/" + TestPrefix()).c_str());
  }

  std::unique_ptr<CgroupDriver> driver_;
};

TEST_P(CgroupDriverTest, RefusesBadNamesAndMissesUnknownGroups) {
  for (const char* name :
       {"", ".", "..", "a/b", "../x", ".hidden", "/", "/a/", "//a", "/a/../b", "/a/.b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(driver_->CreateGroup(name, {}).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(driver_->Remove(name))) << name;
  }
  EXPECT_TRUE(absl::IsNotFound(driver_->OpenJoin("none").status()));
  EXPECT_TRUE(absl::IsNotFound(driver_->ReadStats("none").status()));
  EXPECT_TRUE(absl::IsNotFound(driver_->ReadOomKills("none").status()));
  EXPECT_TRUE(absl::IsNotFound(driver_->ListProcesses("none").status()));
  EXPECT_TRUE(absl::IsNotFound(driver_->ApplyLimits("none", {.cpu_shares = 2}).status()));
  EXPECT_TRUE(absl::IsNotFound(driver_->Kill("none")));
  EXPECT_TRUE(absl::IsNotFound(driver_->Freeze("none")));
  EXPECT_TRUE(driver_->Remove("none").ok());
}

TEST_P(CgroupDriverTest, LeaseRemovesTheGroupUnlessReleased) {
  { ASSERT_TRUE(driver_->CreateGroup("leased", {}).ok()); }
  EXPECT_TRUE(driver_->ListGroups()->empty());
  EXPECT_EQ(driver_->CreateGroup("kept", {})->Release(), "kept");
  EXPECT_EQ(*driver_->ListGroups(), std::vector<std::string>{"kept"});
  // An empty left-over is taken over.
  EXPECT_TRUE(driver_->CreateGroup("kept", {}).ok());
}

TEST_P(CgroupDriverTest, GroupsUnderAParentOfTheirOwn) {
  const std::string top = absl::StrCat("/", TestPrefix(), "-parent");
  const std::string name = top + "/inner/one";
  {
    auto lease = driver_->CreateGroup(name, {.pids_limit = 7});
    ASSERT_TRUE(lease.ok()) << lease.status();
    pid_t pid = StartIn(lease->join(), SleepForever);
    while (driver_->ListProcesses(name)->empty()) sched_yield();
    EXPECT_EQ(*driver_->ListProcesses(name), std::vector<pid_t>{pid});
    ASSERT_TRUE(driver_->Freeze(name).ok());
    ASSERT_TRUE(driver_->Thaw(name).ok());
    ASSERT_TRUE(driver_->Kill(name).ok());
    WaitFor(pid);
  }
  EXPECT_TRUE(absl::IsNotFound(driver_->ListProcesses(name).status()));
  EXPECT_TRUE(driver_->ListGroups()->empty());  // nothing of it below the prefix
  auto mounts = FindCgroupMounts();
  std::vector<std::string> roots = {mounts->v2};
  for (const auto& v1 : mounts->v1) roots.push_back(v1.mount_point);
  for (const std::string& root : roots) {
    rmdir((root + top + "/inner").c_str());
    rmdir((root + top).c_str());
  }
}

TEST_P(CgroupDriverTest, GroupWithProcessesIsNotTakenOverNorRemoved) {
  auto lease = driver_->CreateGroup("busy", {});
  ASSERT_TRUE(lease.ok()) << lease.status();
  pid_t pid = StartIn(lease->join(), SleepForever);
  while (driver_->ListProcesses("busy")->empty()) sched_yield();
  EXPECT_EQ(*driver_->ListProcesses("busy"), std::vector<pid_t>{pid});
  EXPECT_TRUE(absl::IsAlreadyExists(driver_->CreateGroup("busy", {}).status()));
  EXPECT_TRUE(absl::IsUnavailable(driver_->Remove("busy")));
  ASSERT_TRUE(driver_->Kill("busy").ok());
  EXPECT_EQ(WTERMSIG(WaitFor(pid)), SIGKILL);
  EXPECT_TRUE(driver_->Remove("busy").ok());
}

TEST_P(CgroupDriverTest, KillsAllEvenFrozenAndForking) {
  auto lease = driver_->CreateGroup("many", {});
  ASSERT_TRUE(lease.ok()) << lease.status();
  pid_t pid = StartIn(lease->join(), [] {
    for (int i = 0; i < 20; ++i) {
      if (fork() == 0) SleepForever();
    }
    return SleepForever();
  });
  while (driver_->ListProcesses("many")->size() < 21) sched_yield();
  ASSERT_TRUE(driver_->Freeze("many").ok());
  ASSERT_TRUE(driver_->Kill("many").ok());
  EXPECT_EQ(WTERMSIG(WaitFor(pid)), SIGKILL);
  EXPECT_TRUE(driver_->Remove("many").ok());
}

TEST_P(CgroupDriverTest, FrozenProcessesDoNotRun) {
  auto* counter = static_cast<std::atomic<uint64_t>*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  auto lease = driver_->CreateGroup("frozen", {});
  ASSERT_TRUE(lease.ok()) << lease.status();
  pid_t pid = StartIn(lease->join(), [counter]() -> int {
    for (;;) ++*counter;
  });
  while (*counter == 0) sched_yield();
  ASSERT_TRUE(driver_->Freeze("frozen").ok());
  uint64_t before = *counter;
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(*counter, before);
  ASSERT_TRUE(driver_->Thaw("frozen").ok());
  while (*counter == before) sched_yield();
  EXPECT_GT(driver_->ReadStats("frozen")->cpu_total_ns, 0u);
  ASSERT_TRUE(driver_->Kill("frozen").ok());
  WaitFor(pid);
  munmap(counter, 4096);
}

TEST_P(CgroupDriverTest, RemovesGroupsMadeInside) {
  auto lease = driver_->CreateGroup("outer", {});
  ASSERT_TRUE(lease.ok()) << lease.status();
  auto mounts = FindCgroupMounts();
  std::string root = GetParam() == "v1" ? mounts->v1.front().mount_point : mounts->v2;
  ASSERT_EQ(mkdir(absl::StrCat(root, "/", TestPrefix(), "/outer/inner").c_str(), 0755), 0);
  EXPECT_TRUE(driver_->Remove("outer").ok());
}

TEST_P(CgroupDriverTest, OnlyDockersDevicesAreAllowed) {
  for (bool all : {false, true}) {
    auto lease = driver_->CreateGroup("devices", {.all_devices = all});
    ASSERT_TRUE(lease.ok()) << lease.status();
    EXPECT_TRUE(lease->warnings().empty());
    char node[] = "/tmp/slipway-kmsg-XXXXXX";
    ASSERT_NE(mktemp(node), nullptr);
    ASSERT_EQ(mknod(node, S_IFCHR | 0600, makedev(1, 11)), 0);  // kmsg
    pid_t pid = StartIn(lease->join(), [&node] {
      int result = open("/dev/null", O_RDWR) >= 0 && open("/dev/urandom", O_RDONLY) >= 0 ? 0 : 64;
      return result | (open(node, O_RDONLY) >= 0 ? 1 : 0);
    });
    EXPECT_EQ(WEXITSTATUS(WaitFor(pid)), all ? 1 : 0);
    unlink(node);
  }
}

TEST_P(CgroupDriverTest, Costs) {
  std::vector<absl::Duration> create, end;
  CgroupLimits limits{.nano_cpus = 500000000, .memory_bytes = 64 << 20, .pids_limit = 100};
  for (int i = 0; i < 51; ++i) {
    absl::Time start = absl::Now();
    auto lease = driver_->CreateGroup("timed", limits);
    create.push_back(absl::Now() - start);
    ASSERT_TRUE(lease.ok()) << lease.status();
    WaitFor(StartIn(lease->join(), [] { return 0; }));
    start = absl::Now();
    *lease = CgroupLease();
    end.push_back(absl::Now() - start);
  }
  std::sort(create.begin(), create.end());
  std::sort(end.begin(), end.end());
  std::cout << "[ NUMBER   ] " << GetParam() << " create " << create[25] << ", remove " << end[25]
            << "\n";
}

INSTANTIATE_TEST_SUITE_P(, CgroupDriverTest, ::testing::Values("v1", "v2"),
                         [](const auto& info) { return info.param; });

class CgroupV1Test : public CgroupDriverTest {
 protected:
  std::string File(const char* controller, const char* file) {
    CgroupMounts mounts = *FindCgroupMounts();
    for (const auto& v1 : mounts.v1) {
      if (std::count(v1.controllers.begin(), v1.controllers.end(), controller) == 0) continue;
      auto text = ReadFile(absl::StrCat(v1.mount_point, "/", TestPrefix(), "/limited/", file));
      return text.ok() ? *text : text.status().ToString();
    }
    return "no controller";
  }
};

TEST_P(CgroupV1Test, SetsLimitsAndChangesThem) {
  auto lease = driver_->CreateGroup("limited", {.nano_cpus = 1500000000,
                                                .cpu_shares = 512,
                                                .cpuset_cpus = "0",
                                                .cpuset_mems = "0",
                                                .memory_bytes = 64 << 20,
                                                .memory_reservation_bytes = 32 << 20,
                                                .pids_limit = 77,
                                                .oom_kill_disable = true});
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(File("cpu", "cpu.cfs_quota_us"), "150000\n");
  EXPECT_EQ(File("cpu", "cpu.cfs_period_us"), "100000\n");
  EXPECT_EQ(File("cpu", "cpu.shares"), "512\n");
  EXPECT_EQ(File("cpuset", "cpuset.cpus"), "0\n");
  EXPECT_EQ(File("memory", "memory.limit_in_bytes"), "67108864\n");
  EXPECT_EQ(File("memory", "memory.memsw.limit_in_bytes"), "134217728\n");
  EXPECT_EQ(File("memory", "memory.soft_limit_in_bytes"), "33554432\n");
  EXPECT_TRUE(absl::StartsWith(File("memory", "memory.oom_control"), "oom_kill_disable 1"));
  EXPECT_EQ(File("pids", "pids.max"), "77\n");
  for (int64_t megabytes : {512, 16, 256}) {
    auto changed = driver_->ApplyLimits("limited", {.memory_bytes = megabytes << 20});
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_EQ(File("memory", "memory.limit_in_bytes"), absl::StrCat(megabytes << 20, "\n"));
  }
  EXPECT_TRUE(
      driver_->ApplyLimits("limited", {.memory_bytes = 1 << 30, .memory_swap_bytes = -1}).ok());
  CgroupStats stats = *driver_->ReadStats("limited");
  EXPECT_EQ(stats.memory_limit_bytes, 1u << 30);
  EXPECT_EQ(stats.pids_limit, 77u);
  EXPECT_FALSE(driver_->ApplyLimits("limited", {.cpuset_cpus = "9999"}).ok());
}

TEST_P(CgroupV1Test, WarnsOfWhatTheKernelLacks) {
  auto lease = driver_->CreateGroup("limited", {.blkio_weight = 300});
  ASSERT_TRUE(lease.ok()) << lease.status();
  bool has_weight = absl::StartsWith(File("blkio", "blkio.weight"), "3") ||
                    absl::StrContains(File("blkio", "blkio.bfq.weight"), "300");
  EXPECT_EQ(lease->warnings().size(), has_weight ? 0u : 1u);
}

TEST_P(CgroupV1Test, CountsOomKills) {
  auto lease = driver_->CreateGroup("limited", {.memory_bytes = 16 << 20});
  ASSERT_TRUE(lease.ok()) << lease.status();
  pid_t pid = StartIn(lease->join(), [] {
    constexpr size_t kBytes = 64 << 20;
    char* memory = static_cast<char*>(
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < kBytes; i += 4096) memory[i] = 1;
    return 0;
  });
  EXPECT_EQ(WTERMSIG(WaitFor(pid)), SIGKILL);
  EXPECT_EQ(*driver_->ReadOomKills("limited"), 1u);
}

INSTANTIATE_TEST_SUITE_P(, CgroupV1Test, ::testing::Values("v1"),
                         [](const auto& info) { return info.param; });

// The controllers' files of v2, on a directory that looks like a hierarchy.
class CgroupV2FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/slipway-cgroup-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    root_ = directory;
    driver_ = *NewCgroupV2Driver({.prefix = "sw", .v2_root = root_});
    group_ = root_ + "/sw/a/";
    fs::create_directories(group_);
    for (const char* file :
         {"cpu.weight", "cpu.max", "cpuset.cpus", "cpuset.mems", "memory.max", "memory.swap.max",
          "memory.low", "pids.max", "io.weight", "cgroup.kill"}) {
      Put(file, "");
    }
  }
  void TearDown() override { fs::remove_all(root_); }
  void Put(const std::string& file, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(group_ + file, content).ok());
  }
  std::string Get(const std::string& file) { return *ReadFile(group_ + file); }

  std::string root_, group_;
  std::unique_ptr<CgroupDriver> driver_;
};

TEST_F(CgroupV2FilesTest, WritesLimitsInTheUnitsOfV2) {
  auto warnings = driver_->ApplyLimits("a", {.nano_cpus = 1500000000,
                                             .cpu_shares = 1024,
                                             .cpuset_cpus = "0-1",
                                             .cpuset_mems = "0",
                                             .memory_bytes = 64 << 20,
                                             .memory_swap_bytes = 96 << 20,
                                             .memory_reservation_bytes = 32 << 20,
                                             .pids_limit = -1,
                                             .oom_kill_disable = true,
                                             .blkio_weight = 1000});
  ASSERT_TRUE(warnings.ok()) << warnings.status();
  EXPECT_EQ(Get("cpu.max"), "150000 100000");
  EXPECT_EQ(Get("cpu.weight"), "39");
  EXPECT_EQ(Get("cpuset.cpus"), "0-1");
  EXPECT_EQ(Get("memory.max"), "67108864");
  EXPECT_EQ(Get("memory.swap.max"), "33554432");
  EXPECT_EQ(Get("memory.low"), "33554432");
  EXPECT_EQ(Get("pids.max"), "max");
  EXPECT_EQ(Get("io.weight"), "10000");
  EXPECT_EQ(warnings->size(), 1u);  // the out-of-memory killer
  EXPECT_TRUE(absl::IsInvalidArgument(
      driver_->ApplyLimits("a", {.memory_bytes = 64 << 20, .memory_swap_bytes = 32 << 20})
          .status()));
  ASSERT_TRUE(driver_->ApplyLimits("a", {.memory_bytes = 1, .memory_swap_bytes = -1}).ok());
  EXPECT_EQ(Get("memory.swap.max"), "max");
  ASSERT_TRUE(driver_->Kill("a").ok());
  EXPECT_EQ(Get("cgroup.kill"), "1");
}

TEST_F(CgroupV2FilesTest, WarnsOfMissingControllers) {
  fs::remove(group_ + "memory.max");
  fs::remove(group_ + "memory.swap.max");
  fs::remove(group_ + "pids.max");
  auto warnings = driver_->ApplyLimits("a", {.memory_bytes = 1 << 20, .pids_limit = 5});
  ASSERT_TRUE(warnings.ok()) << warnings.status();
  EXPECT_EQ(warnings->size(), 2u);
}

TEST_F(CgroupV2FilesTest, ReadsStats) {
  Put("cpu.stat",
      "usage_usec 10\nuser_usec 7\nsystem_usec 3\nnr_periods 4\nnr_throttled 2\n"
      "throttled_usec 5\n");
  Put("memory.current", "1000\n");
  Put("memory.max", "max\n");
  Put("memory.peak", "2000\n");
  Put("memory.stat", "anon 11\nfile 12\ninactive_file 13\n");
  Put("memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 3\n");
  Put("pids.current", "4\n");
  Put("pids.max", "9\n");
  CgroupStats stats = *driver_->ReadStats("a");
  EXPECT_EQ(stats.cpu_total_ns, 10000u);
  EXPECT_EQ(stats.cpu_throttled_ns, 5000u);
  EXPECT_EQ(stats.memory_usage_bytes, 1000u);
  EXPECT_EQ(stats.memory_limit_bytes, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(stats.memory_peak_bytes, 2000u);
  EXPECT_EQ(stats.memory_inactive_file_bytes, 13u);
  EXPECT_EQ(stats.oom_kills, 3u);
  EXPECT_EQ(stats.pids_current, 4u);
  EXPECT_EQ(stats.pids_limit, 9u);
  EXPECT_EQ(*driver_->ReadOomKills("a"), 3u);
}

TEST(CgroupMountsTest, FindsHierarchiesInMountinfo) {
  CgroupMounts mounts = ParseCgroupMounts(
      "25 20 0:22 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro\n"
      "26 25 0:23 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
      "27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
      "28 25 0:24 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n"
      "broken line\n");
  EXPECT_EQ(mounts.v2, "/sys/fs/cgroup/unified");
  ASSERT_EQ(mounts.v1.size(), 1u);
  EXPECT_EQ(mounts.v1[0].mount_point, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(mounts.v1[0].controllers, (std::vector<std::string>{"rw", "cpu", "cpuacct"}));
}

TEST(CgroupDetectionTest, FindsADriverHere) {
  auto driver = DetectCgroupDriver({.prefix = TestPrefix()});
  ASSERT_TRUE(driver.ok()) << driver.status();
  EXPECT_TRUE((*driver)->version() == "1" || (*driver)->version() == "2");
  auto mounts = FindCgroupMounts();
  for (const auto& v1 : mounts->v1) rmdir((v1.mount_point + "/" + TestPrefix()).c_str());
  rmdir((mounts->v2 + "/" + TestPrefix()).c_str());
}

}  // namespace
}  // namespace slipway::agent
