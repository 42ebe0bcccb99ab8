#include "runtime-agent/archive/container_path.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::agent {
namespace {

TEST(ContainerPathTest, CleansAsGo) {
  EXPECT_EQ(CleanContainerPath(""), "/");
  EXPECT_EQ(CleanContainerPath("../../etc/./passwd/"), "/etc/passwd");
  EXPECT_EQ(CleanContainerPath("//a//..//b"), "/b");
  EXPECT_EQ(CleanContainerPath("/.."), "/");
}

TEST(ContainerPathTest, KeepsWhatMeansADirectory) {
  EXPECT_EQ(KeepTrailing("/etc"), "/etc");
  EXPECT_EQ(KeepTrailing("etc/"), "/etc/");
  EXPECT_EQ(KeepTrailing("/etc/."), "/etc/.");
  EXPECT_EQ(KeepTrailing("/etc/./"), "/etc/./");
  EXPECT_EQ(KeepTrailing("."), "/.");
  EXPECT_EQ(KeepTrailing("/"), "/");
}

TEST(ContainerPathTest, NamesTheLastElement) {
  EXPECT_EQ(BaseName("/"), "/");
  EXPECT_EQ(BaseName("/a/b/"), "b");
  EXPECT_EQ(BaseName("/a/."), ".");
  EXPECT_EQ(BaseName("/a/./"), ".");
  EXPECT_EQ(BaseName(""), ".");
}

TEST(ContainerPathTest, StatsAndFollows) {
  char pattern[] = "/tmp/container-path-XXXXXX";
  ASSERT_NE(mkdtemp(pattern), nullptr);
  const std::string root = pattern;
  ASSERT_EQ(mkdir((root + "/d").c_str(), 0755), 0);
  ASSERT_EQ(symlink("d", (root + "/relative").c_str()), 0);
  ASSERT_EQ(symlink((root + "/relative/missing").c_str(), (root + "/dangling").c_str()), 0);
  ASSERT_EQ(symlink("loop", (root + "/loop").c_str()), 0);

  EXPECT_EQ(StatContainerPath(root + "/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(EvaluateLinks(root + "/loop").status().code(), absl::StatusCode::kInvalidArgument);

  const auto link = StatContainerPath(root + "/relative");
  ASSERT_TRUE(link.ok());
  EXPECT_TRUE(S_ISLNK(link->info.st_mode));
  EXPECT_EQ(link->name, "relative");
  EXPECT_EQ(link->link_target, root + "/d");
  const auto followed = StatContainerPath(root + "/relative/.");
  ASSERT_TRUE(followed.ok());
  EXPECT_TRUE(S_ISDIR(followed->info.st_mode));
  EXPECT_EQ(followed->name, ".");
  const auto dangling = StatContainerPath(root + "/dangling");
  ASSERT_TRUE(dangling.ok());
  EXPECT_EQ(dangling->link_target, root + "/d/missing");

  for (const char* name : {"/relative", "/dangling", "/loop"}) unlink((root + name).c_str());
  rmdir((root + "/d").c_str());
  rmdir(root.c_str());
}

}  // namespace
}  // namespace slipway::agent
