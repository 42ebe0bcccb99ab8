#include "runtime-agent/oci/mount_options.h"

#include <gtest/gtest.h>
#include <linux/mount.h>
#include <sys/mount.h>

namespace slipway::agent {
namespace {

TEST(MountOptionsTest, UnknownWordsAreTheFileSystems) {
  const MountWords words = ParseMountOptions({"nosuid", "mode=755", "ro", "size=64k"});
  EXPECT_EQ(words.flags, static_cast<uint64_t>(MS_NOSUID | MS_RDONLY));
  EXPECT_EQ(words.data, "mode=755,size=64k");
  EXPECT_FALSE(words.bind);
}

TEST(MountOptionsTest, TheLastWordCounts) {
  const MountWords words = ParseMountOptions({"rbind", "ro", "rw", "nodev", "rprivate"});
  EXPECT_TRUE(words.bind);
  EXPECT_TRUE(words.recursive);
  EXPECT_EQ(words.set, static_cast<uint64_t>(MOUNT_ATTR_NODEV));
  EXPECT_EQ(words.clear, static_cast<uint64_t>(MOUNT_ATTR_RDONLY));
  EXPECT_EQ(words.propagation, static_cast<uint64_t>(MS_PRIVATE | MS_REC));
  EXPECT_FALSE(words.recursive_attributes);
}

TEST(MountOptionsTest, RecursiveAttributesAndTimes) {
  const MountWords words = ParseMountOptions({"rbind", "rro", "noatime"});
  EXPECT_TRUE(words.recursive_attributes);
  EXPECT_EQ(words.set, static_cast<uint64_t>(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME));
  EXPECT_NE(words.clear & MOUNT_ATTR__ATIME, 0u);
}

}  // namespace
}  // namespace slipway::agent
