#include "runtime-agent/domain/skeleton.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os/file.h"
#include "runtime-agent/domain/tree.h"

namespace slipway::agent {
namespace {

class SkeletonTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/skeleton-XXXXXX";
    image_ = mkdtemp(name);
    auto created = Skeletons::Create("/tmp");
    ASSERT_TRUE(created.ok()) << created.status();
    skeletons_ = *std::move(created);
  }
  void TearDown() override { EXPECT_TRUE(RemoveTree(image_).ok()); }
  int Make() {
    const UniqueFd view(open(image_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    auto made = skeletons_->Make("image", view.get());
    EXPECT_TRUE(made.ok()) << made.status();
    return (*made)->get();
  }
  static bool Has(int fd, const char* path, struct stat* info) {
    return fstatat(fd, path, info, AT_SYMLINK_NOFOLLOW) == 0;
  }
  std::string image_;
  std::unique_ptr<Skeletons> skeletons_;
};

TEST_F(SkeletonTest, AnEmptyImageGetsAll) {
  const int fd = Make();
  struct stat info {};
  EXPECT_TRUE(Has(fd, "proc", &info) && S_ISDIR(info.st_mode));
  EXPECT_TRUE(Has(fd, "etc/resolv.conf", &info) && S_ISREG(info.st_mode));
  EXPECT_EQ(skeletons_->Find("image").value()->get(), fd);
  EXPECT_FALSE(skeletons_->Find("other").ok());
}

TEST_F(SkeletonTest, WhatTheImageHasIsNotHidden) {
  ASSERT_TRUE(MakeDirectories(image_ + "/etc").ok());
  ASSERT_TRUE(MakeDirectories(image_ + "/proc").ok());
  ASSERT_EQ(chmod((image_ + "/etc").c_str(), 0711), 0);
  ASSERT_EQ(chown((image_ + "/etc").c_str(), 5, 6), 0);
  ASSERT_TRUE(WriteFileAtomically(image_ + "/etc/hosts", "x").ok());
  ASSERT_EQ(symlink("/run/resolv.conf", (image_ + "/etc/resolv.conf").c_str()), 0);
  const int fd = Make();
  struct stat info {};
  EXPECT_FALSE(Has(fd, "proc", &info));
  EXPECT_FALSE(Has(fd, "etc/hosts", &info));
  EXPECT_FALSE(Has(fd, "etc/resolv.conf", &info));
  EXPECT_TRUE(Has(fd, "etc/hostname", &info));
  ASSERT_TRUE(Has(fd, "etc", &info));
  EXPECT_EQ(info.st_mode & 07777, 0711u);
  EXPECT_EQ(info.st_uid, 5u);
  EXPECT_EQ(info.st_gid, 6u);
}

TEST_F(SkeletonTest, AnEtcThatIsALinkIsLeftAlone) {
  ASSERT_EQ(symlink("/tmp", (image_ + "/etc").c_str()), 0);
  const int fd = Make();
  struct stat info {};
  EXPECT_FALSE(Has(fd, "etc", &info));
  EXPECT_TRUE(Has(fd, "sys", &info));
}

}  // namespace
}  // namespace slipway::agent
