#include "runtime-agent/kernel/mount_source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/os/file.h"
#include "runtime-agent/kernel/ext4_image.h"
#include "runtime-agent/kernel/project_quota.h"

namespace slipway::agent {
namespace {

using ::testing::HasSubstr;

class MountSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    char path[] = "/var/tmp/slipway_mount_XXXXXX";
    directory_ = mkdtemp(path);
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  static absl::Status Write(int directory, const char* name, size_t bytes) {
    const UniqueFd file(openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!file.ok()) return absl::ErrnoToStatus(errno, "create");
    return WriteAll(file.get(), std::string(bytes, 'x'), name);
  }
  std::string directory_;
};

TEST_F(MountSourceTest, WhatCannotBeMountedSaysSo) {
  EXPECT_FALSE(MountDetached({.type = "nosuchfs", .device = "x"}).ok());
  EXPECT_FALSE(
      MountDetached({.type = "none", .device = directory_ + "/no", .options = "bind"}).ok());
  EXPECT_THAT(
      MountDetached({.type = "tmpfs", .device = "tmpfs", .options = "nosuch=1"}).status().message(),
      HasSubstr("nosuch"));
  EXPECT_THAT(MountDetached({.type = "nfs", .device = ":/x", .options = "addr=no.such.invalid"})
                  .status()
                  .message(),
              HasSubstr("no.such.invalid"));
  EXPECT_FALSE(MountExt4Image(directory_ + "/no").ok());
}

TEST_F(MountSourceTest, OptionsGoToMountAndFileSystem) {
  const auto mount = MountDetached(
      {.type = "tmpfs", .device = "tmpfs", .options = "nosuid,size=1m,mode=1700,noexec"});
  ASSERT_TRUE(mount.ok()) << mount.status();
  struct stat info;
  ASSERT_EQ(fstat(mount->fd(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 01700u);
  EXPECT_TRUE(Write(mount->fd(), "small", 1000).ok());
  EXPECT_FALSE(Write(mount->fd(), "large", 2 << 20).ok());
  const auto bound = MountDetached({.type = "none", .device = directory_, .options = "bind,ro"});
  ASSERT_TRUE(bound.ok()) << bound.status();
  EXPECT_FALSE(Write(bound->fd(), "file", 1).ok());
}

TEST_F(MountSourceTest, AnImageHoldsWhatItsSizeSaysAndKeepsIt) {
  for (const int64_t size : {int64_t{4} << 20, int64_t{64} << 20, int64_t{600} << 20}) {
    const std::string image = directory_ + "/image";
    ASSERT_TRUE(MakeExt4Image(image, size).ok());
    EXPECT_FALSE(MakeExt4Image(image, size).ok());  // it is there
    {
      const auto mount = MountExt4Image(image);
      ASSERT_TRUE(mount.ok()) << mount.status();
      EXPECT_EQ(unlinkat(mount->fd(), "lost+found", AT_REMOVEDIR), -1);
      ASSERT_TRUE(Write(mount->fd(), "kept", 100000).ok());
      // The same file system, not a second one over the same file.
      const auto again = MountExt4Image(image);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(faccessat(again->fd(), "kept", F_OK, 0), 0);
      if (size < int64_t{512} << 20) {
        EXPECT_TRUE(Write(mount->fd(), "most", static_cast<size_t>(size) / 2).ok());
        EXPECT_FALSE(Write(mount->fd(), "more", static_cast<size_t>(size)).ok());
      }
    }
    const auto later = MountExt4Image(image);
    ASSERT_TRUE(later.ok()) << later.status();
    EXPECT_EQ(faccessat(later->fd(), "kept", F_OK, 0), 0);
    ASSERT_EQ(unlink(image.c_str()), 0);
  }
}

TEST_F(MountSourceTest, ProjectQuotaWhereTheKernelHasIt) {
  const std::string image = directory_ + "/image";
  const std::string command = "truncate -s 64m " + image +
                              " && /usr/sbin/mkfs.ext4 -q -O quota,project " + image +
                              " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto plain = UniqueFd(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(ProjectOf(plain.get()).value_or(0), 0u);
  const std::string loop = directory_ + "/loop";
  ASSERT_EQ(mkdir(loop.c_str(), 0755), 0);
  const std::string mount = "mount -o loop,prjquota " + image + " " + loop + " 2>/dev/null";
  if (std::system(mount.c_str()) != 0) GTEST_SKIP() << "the kernel has no project quota for ext4";
  const std::string limited = loop + "/limited";
  EXPECT_EQ(mkdir(limited.c_str(), 0755), 0);
  {
    const UniqueFd at(open(limited.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    EXPECT_TRUE(EnforcesProjectQuota(at.get()));
    const auto project = LimitDirectory(at.get(), 4 << 20);
    EXPECT_TRUE(project.ok()) << project.status();
    EXPECT_EQ(ProjectOf(at.get()).value_or(0), project.value_or(1));
    EXPECT_TRUE(Write(at.get(), "small", 1 << 20).ok());
    EXPECT_FALSE(Write(at.get(), "large", 8 << 20).ok());
    EXPECT_TRUE(LiftLimit(at.get(), project.value_or(0)).ok());
  }
  EXPECT_EQ(std::system(("umount " + loop).c_str()), 0);
}

}  // namespace
}  // namespace slipway::agent
