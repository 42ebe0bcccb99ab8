#include "runtime-agent/domain/user_database.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os/file.h"

namespace slipway::agent {
namespace {

UserDatabase Sample() {
  return {
      .passwd =
          "root:x:0:0:root:/root:/bin/sh\n"
          "# comment\n"
          "broken line\n"
          "bad:x:nan:1::/:\n"
          "redis:x:999:998::/var/lib/redis:/usr/sbin/nologin\n"
          "1000:x:5:6::/five:\n",
      .group = "root:x:0:\nredis:x:998:\nssl:x:110:redis,postgres\nadm:x:4:redis\nbad:x:q:redis\n"};
}

TEST(LookUpUser, UnknownNamesAreDockersErrors) {
  auto user = LookUpUser(Sample(), "foo", {});
  ASSERT_EQ(user.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(user.status().message(), "unable to find user foo: no matching entries in passwd file");
  user = LookUpUser(Sample(), "redis:nope", {});
  EXPECT_EQ(user.status().message(),
            "unable to find group nope: no matching entries in group file");
  user = LookUpUser(Sample(), "redis", {"nope"});
  EXPECT_FALSE(user.ok());
  EXPECT_FALSE(LookUpUser(Sample(), "4294967296", {}).ok());
  EXPECT_FALSE(LookUpUser(Sample(), "-1", {}).ok());
  EXPECT_FALSE(LookUpUser({}, "root", {}).ok());
}

TEST(LookUpUser, EmptyIsRootWithItsHome) {
  const auto user = LookUpUser(Sample(), "", {});
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(*user, (ProcessUser{0, 0, {0}, "/root"}));
  const auto nameless = LookUpUser({}, "", {});
  ASSERT_TRUE(nameless.ok());
  EXPECT_EQ(*nameless, (ProcessUser{0, 0, {0}, "/"}));
}

TEST(LookUpUser, NameAndNumberFindGroups) {
  const ProcessUser redis{999, 998, {998, 110, 4}, "/var/lib/redis"};
  EXPECT_EQ(LookUpUser(Sample(), "redis", {}).value(), redis);
  EXPECT_EQ(LookUpUser(Sample(), "999", {}).value(), redis);
}

TEST(LookUpUser, ANamedGroupReplacesAll) {
  EXPECT_EQ(LookUpUser(Sample(), "redis:adm", {"110", "adm"}).value(),
            (ProcessUser{999, 4, {4, 110}, "/var/lib/redis"}));
  EXPECT_EQ(LookUpUser(Sample(), "12:34", {}).value(), (ProcessUser{12, 34, {34}, "/"}));
}

TEST(LookUpUser, ANameOfDigitsWinsOverTheNumber) {
  EXPECT_EQ(LookUpUser(Sample(), "1000", {}).value().uid, 5u);
}

class ReadUserDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/users-XXXXXX";
    root_ = mkdtemp(name);
    ASSERT_EQ(mkdir((root_ + "/etc").c_str(), 0755), 0);
    fd_ = UniqueFd(open(root_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    unlink((root_ + "/etc/passwd").c_str());
    unlink((root_ + "/etc/group").c_str());
    rmdir((root_ + "/etc").c_str());
    rmdir(root_.c_str());
  }
  std::string root_;
  UniqueFd fd_;
};

TEST_F(ReadUserDatabaseTest, MissingFilesAreEmpty) {
  const auto database = ReadUserDatabase(fd_.get());
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(database->passwd, "");
}

TEST_F(ReadUserDatabaseTest, LinksStayInside) {
  ASSERT_EQ(symlink("/../../../../../etc/passwd", (root_ + "/etc/passwd").c_str()), 0);
  ASSERT_EQ(symlink("/proc/self/root/etc/group", (root_ + "/etc/group").c_str()), 0);
  const auto database = ReadUserDatabase(fd_.get());
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(database->passwd, "");
  EXPECT_EQ(database->group, "");
}

TEST_F(ReadUserDatabaseTest, AFifoDoesNotBlock) {
  ASSERT_EQ(mkfifo((root_ + "/etc/passwd").c_str(), 0644), 0);
  const auto database = ReadUserDatabase(fd_.get());
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(database->passwd, "");
}

TEST_F(ReadUserDatabaseTest, AHugeFileIsRefused) {
  ASSERT_TRUE(WriteFileAtomically(root_ + "/etc/passwd", "").ok());
  ASSERT_EQ(truncate((root_ + "/etc/passwd").c_str(), 1ll << 40), 0);
  EXPECT_EQ(ReadUserDatabase(fd_.get()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ReadUserDatabaseTest, ReadsBoth) {
  ASSERT_TRUE(WriteFileAtomically(root_ + "/etc/passwd", Sample().passwd).ok());
  ASSERT_TRUE(WriteFileAtomically(root_ + "/etc/group", Sample().group).ok());
  const auto database = ReadUserDatabase(fd_.get());
  ASSERT_TRUE(database.ok());
  EXPECT_EQ(database->passwd, Sample().passwd);
  EXPECT_EQ(database->group, Sample().group);
}

}  // namespace
}  // namespace slipway::agent
