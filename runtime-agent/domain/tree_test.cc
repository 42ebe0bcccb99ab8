#include "runtime-agent/domain/tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/os/file.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {
namespace {

class TreeTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/tree-XXXXXX";
    dir_ = mkdtemp(name);
    ASSERT_TRUE(MakeDirectories(dir_ + "/root/data/sub").ok());
    ASSERT_TRUE(MakeDirectories(dir_ + "/volume").ok());
    root_ = UniqueFd(open((dir_ + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    EXPECT_TRUE(RemoveTree(dir_).ok());
    EXPECT_NE(access(dir_.c_str(), F_OK), 0);
  }
  struct stat Stat(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(lstat((dir_ + path).c_str(), &info), 0) << path;
    return info;
  }
  std::string dir_;
  UniqueFd root_;
};

TEST_F(TreeTest, RemovingFollowsNoLink) {
  ASSERT_TRUE(MakeDirectories(dir_ + "/victim").ok());
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/victim/f", "x").ok());
  ASSERT_TRUE(MakeDirectories(dir_ + "/doomed").ok());
  ASSERT_EQ(symlink((dir_ + "/victim").c_str(), (dir_ + "/doomed/link").c_str()), 0);
  EXPECT_TRUE(RemoveTree(dir_ + "/doomed").ok());
  EXPECT_EQ(ReadFile(dir_ + "/victim/f").value(), "x");
  EXPECT_TRUE(RemoveTree(dir_ + "/doomed").ok());
  ASSERT_EQ(symlink("victim", (dir_ + "/direct").c_str()), 0);
  EXPECT_FALSE(RemoveTree(dir_ + "/direct").ok());
}

TEST_F(TreeTest, FillingCopiesEverything) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/root/data/f", "content", 0600).ok());
  ASSERT_EQ(chown((dir_ + "/root/data/f").c_str(), 12, 34), 0);
  ASSERT_EQ(chmod((dir_ + "/root/data/f").c_str(), 04711), 0);
  ASSERT_EQ(symlink("/etc/passwd", (dir_ + "/root/data/sub/l").c_str()), 0);
  ASSERT_EQ(mknod((dir_ + "/root/data/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  ASSERT_EQ(mkfifo((dir_ + "/root/data/fifo").c_str(), 0644), 0);
  ASSERT_EQ(chmod((dir_ + "/root/data").c_str(), 01777), 0);
  ASSERT_TRUE(FillEmptyDirectory(root_.get(), "/data", dir_ + "/volume").ok());
  EXPECT_EQ(ReadFile(dir_ + "/volume/f").value(), "content");
  const struct stat file = Stat("/volume/f");
  EXPECT_EQ(file.st_mode & 07777, 04711u);
  EXPECT_EQ(file.st_uid, 12u);
  EXPECT_EQ(file.st_mtim.tv_sec, Stat("/root/data/f").st_mtim.tv_sec);
  EXPECT_TRUE(S_ISLNK(Stat("/volume/sub/l").st_mode));
  EXPECT_EQ(Stat("/volume/null").st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISFIFO(Stat("/volume/fifo").st_mode));
  EXPECT_EQ(Stat("/volume").st_mode & 07777, 01777u);
}

TEST_F(TreeTest, NamesOfOneFileStayTogether) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/root/data/f", "content").ok());
  for (const char* name : {"/root/data/sub/g", "/root/data/h", "/root/outside"}) {
    ASSERT_EQ(link((dir_ + "/root/data/f").c_str(), (dir_ + name).c_str()), 0);
  }
  ASSERT_TRUE(FillEmptyDirectory(root_.get(), "/data", dir_ + "/volume").ok());
  for (const char* name : {"/volume/f", "/volume/sub/g", "/volume/h"}) {
    EXPECT_EQ(Stat(name).st_ino, Stat("/volume/f").st_ino) << name;
    EXPECT_EQ(Stat(name).st_nlink, 3u) << name;
  }
  EXPECT_EQ(ReadFile(dir_ + "/volume/sub/g").value(), "content");
}

TEST_F(TreeTest, WhatIsNotEmptyStays) {
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/root/data/f", "image").ok());
  ASSERT_TRUE(WriteFileAtomically(dir_ + "/volume/own", "x").ok());
  ASSERT_TRUE(FillEmptyDirectory(root_.get(), "/data", dir_ + "/volume").ok());
  EXPECT_NE(access((dir_ + "/volume/f").c_str(), F_OK), 0);
}

TEST_F(TreeTest, LinksInTheImageLeadNowhereElse) {
  ASSERT_EQ(symlink("../../../../../../etc", (dir_ + "/root/escape").c_str()), 0);
  ASSERT_TRUE(FillEmptyDirectory(root_.get(), "/escape", dir_ + "/volume").ok());
  EXPECT_NE(access((dir_ + "/volume/passwd").c_str(), F_OK), 0);
  ASSERT_TRUE(FillEmptyDirectory(root_.get(), "/missing", dir_ + "/volume").ok());
}

}  // namespace
}  // namespace slipway::agent
