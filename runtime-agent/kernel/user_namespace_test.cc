#include "runtime-agent/kernel/user_namespace.h"

#include <sys/stat.h>

#include "base/os/file.h"
#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

TEST(UserRemap, WhatNamesNoIdsIsRefused) {
  for (const char* text :
       {"", "0:65536", "100000", "100000:0", "100000:x", "4000000000:10", "no-such-user-at-all"}) {
    EXPECT_FALSE(MakeUserRemap(text).ok()) << text;
  }
}

TEST(UserRemap, MakesTwoNamespacesOfItsOwn) {
  const auto remap = MakeUserRemap("231072:1000");
  ASSERT_TRUE(remap.ok()) << remap.status();
  EXPECT_EQ(remap->first_uid, 231072u);
  EXPECT_EQ(remap->count, 1000u);
  struct stat own;
  struct stat containers;
  struct stat upper;
  ASSERT_EQ(stat("/proc/self/ns/user", &own), 0);
  ASSERT_EQ(fstat(remap->containers.get(), &containers), 0);
  ASSERT_EQ(fstat(remap->upper.get(), &upper), 0);
  EXPECT_NE(containers.st_ino, own.st_ino);
  EXPECT_NE(upper.st_ino, own.st_ino);
  EXPECT_NE(upper.st_ino, containers.st_ino);
}

}  // namespace
}  // namespace slipway::agent
