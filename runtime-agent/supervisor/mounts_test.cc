#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime-agent/supervisor/testing.h"

namespace slipway::agent {
namespace {

TEST_F(SupervisorTest, PathsAreMaskedAndReadOnly) {
  PlanBuilder builder =
      ContainerBuilder("c", {"sh", "-c",
                             "probe write=/tmp/x write=/new write=/proc/sys/vm/swappiness;"
                             "cat /proc/kcore | head -c 1; ls /etc"});
  builder.Mount({"tmpfs", "tmpfs", "/tmp", MS_NODEV, "size=1m"});
  builder.ReadonlyRoot();
  builder.MaskPath("/proc/kcore");
  builder.MaskPath("/etc");
  builder.MaskPath("/does/not/exist");
  builder.ReadonlyPath("/proc/sys");
  ASSERT_TRUE(Spawn("c", &builder).ok());
  SpoolContent content = FinishedSpool("c");
  EXPECT_EQ(content.out,
            "write /tmp/x: ok\nwrite /new: Read-only file system\n"
            "write /proc/sys/vm/swappiness: Read-only file system\n")
      << content.err;
}

TEST_F(SupervisorTest, OutsideOfTheRootThereIsNothingOfTheHost) {
  PlanBuilder builder = ContainerBuilder(
      "c", {"sh", "-c", "probe escape; busybox cut -d' ' -f5 /proc/self/mountinfo"});
  builder.Mount({"tmpfs", "tmpfs", "/tmp", MS_NODEV, "size=1m"});
  ASSERT_TRUE(Spawn("c", &builder).ok());
  const std::string out = FinishedSpool("c").out;
  EXPECT_TRUE(absl::StrContains(out, "escape: tried\n")) << out;
  // The container's own root at most, never a directory that only the host has.
  for (const char* host : {"outside: boot", "outside: home", "outside: run", "outside: var"}) {
    EXPECT_FALSE(absl::StrContains(out, host)) << out;
  }
  EXPECT_TRUE(absl::StrContains(out, "\n/\n/proc\n")) << out;
  EXPECT_FALSE(absl::StrContains(out, "\n/sys/fs/cgroup")) << out;
}

TEST_F(SupervisorTest, BindMountsStayInsideTheRoot) {
  std::filesystem::create_directory(dir_ + "/volume");
  UniqueFd(open((dir_ + "/volume/inside").c_str(), O_CREAT | O_WRONLY, 0644));
  // The image tries to send the mount to the host's /tmp.
  std::filesystem::create_symlink("/../../../../tmp/escape", dir_ + "/root/link");
  PlanBuilder builder = ContainerBuilder(
      "c", {"sh", "-c", "ls /tmp/escape; ls /new/dir; probe write=/new/dir/y; ls /file"});
  for (const char* target : {"/link", "/new/dir"}) {
    BindMount bind;
    bind.tree = builder.AddFd(CloneTree(dir_ + "/volume"));
    bind.target = target;
    bind.set_attributes = MOUNT_ATTR_RDONLY;
    if (std::string(target) == "/link") {
      std::filesystem::create_directory(dir_ + "/root/tmp/escape");
    }
    builder.Bind(bind);
  }
  BindMount file;
  file.tree = builder.AddFd(CloneTree(dir_ + "/volume/inside"));
  file.target = "/file";
  file.is_file = true;
  builder.Bind(file);
  auto spawned = Spawn("c", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  SpoolContent content = FinishedSpool("c");
  EXPECT_EQ(content.out, "inside\ninside\nwrite /new/dir/y: Read-only file system\n/file\n")
      << content.err;
  EXPECT_FALSE(std::filesystem::exists("/tmp/escape"));
}

TEST_F(SupervisorTest, AMountPointBehindALinkThatLeadsNowhereIsMade) {
  UniqueFd file(open((dir_ + "/given").c_str(), O_CREAT | O_RDWR, 0644));
  ASSERT_EQ(write(file.get(), "given\n", 6), 6);
  std::filesystem::create_directory(dir_ + "/root/conf");
  std::filesystem::create_symlink("../missing/below/file", dir_ + "/root/conf/link");
  PlanBuilder builder = ContainerBuilder("c", {"cat", "/conf/link", "/missing/below/file"});
  builder.Bind(
      {.tree = builder.AddFd(CloneTree(dir_ + "/given")), .target = "/conf/link", .is_file = true});
  auto spawned = Spawn("c", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_EQ(FinishedSpool("c").out, "given\ngiven\n");
}

TEST_F(SupervisorTest, ADirectoryOnAFileIsNoDirectory) {
  std::filesystem::create_directory(dir_ + "/volume");
  UniqueFd(open((dir_ + "/root/plain").c_str(), O_CREAT | O_WRONLY, 0644));
  PlanBuilder builder = ContainerBuilder("c", {"true"});
  builder.Bind({.tree = builder.AddFd(CloneTree(dir_ + "/volume")), .target = "/plain"});
  const auto failure = GetSpawnFailure(Spawn("c", &builder).status());
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->step, PlanStep::kBind);
  EXPECT_EQ(failure->error, ENOTDIR);
  EXPECT_EQ(failure->detail, "/plain");
}

TEST_F(SupervisorTest, ABadSysctlIsNamed) {
  PlanBuilder builder = ContainerBuilder("c", {"true"});
  builder.Sysctl("net.no.such", "1");
  const auto failure = GetSpawnFailure(Spawn("c", &builder).status());
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->detail, "net/no/such");
}

TEST_F(SupervisorTest, TmpfsTakesTheImagesContent) {
  std::filesystem::create_directories(dir_ + "/root/data/sub");
  UniqueFd file(open((dir_ + "/root/data/sub/f").c_str(), O_CREAT | O_WRONLY, 0640));
  ASSERT_EQ(write(file.get(), "text\n", 5), 5);
  std::filesystem::create_symlink("sub/f", dir_ + "/root/data/link");
  PlanBuilder builder = ContainerBuilder("c", {"cat", "/data/link"});
  builder.Mount({"tmpfs", "tmpfs", "/data", 0, "mode=755", true});
  auto spawned = Spawn("c", &builder);
  ASSERT_TRUE(spawned.ok()) << spawned.status();
  EXPECT_EQ(FinishedSpool("c").out, "text\n");
}

}  // namespace
}  // namespace slipway::agent
