#include "base/os/descriptor_door.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"

namespace slipway {
namespace {

std::string TestSocket() {
  return absl::StrCat("/tmp/door-", getpid(), "-",
                      testing::UnitTest::GetInstance()->current_test_info()->name(), "-files.sock");
}

class DescriptorDoorTest : public testing::Test {
 protected:
  ~DescriptorDoorTest() override { unlink(TestSocket().c_str()); }
};

UniqueFd FileOf(const std::string& content) {
  UniqueFd fd(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_TRUE(WriteAll(fd.get(), content, "a test's file").ok());
  return fd;
}

std::string ContentOf(int fd) {
  std::string content(64, '\0');
  content.resize(static_cast<size_t>(std::max<ssize_t>(0, pread(fd, content.data(), 64, 0))));
  return content;
}

TEST_F(DescriptorDoorTest, NobodyListens) {
  const UniqueFd file = FileOf("x");
  EXPECT_TRUE(absl::IsUnavailable(GiveDescriptor(TestSocket(), file.get()).status()));
}

TEST_F(DescriptorDoorTest, PathThatIsTooLong) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(DescriptorDoor::Listen("/tmp/" + std::string(200, 'x')).status()));
}

TEST_F(DescriptorDoorTest, UnknownTokenAndSecondUse) {
  const auto door = DescriptorDoor::Listen(TestSocket());
  ASSERT_TRUE(door.ok()) << door.status();
  EXPECT_TRUE(absl::IsNotFound((*door)->Take("").status()));
  EXPECT_TRUE(absl::IsNotFound((*door)->Take(std::string(16, 'a')).status()));
  const UniqueFd file = FileOf("once");
  const auto token = GiveDescriptor(TestSocket(), file.get());
  ASSERT_TRUE(token.ok()) << token.status();
  const auto taken = (*door)->Take(*token);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(ContentOf(taken->get()), "once");
  EXPECT_TRUE(absl::IsNotFound((*door)->Take(*token).status()));
}

TEST_F(DescriptorDoorTest, SocketIsForItsOwnerAlone) {
  const auto door = DescriptorDoor::Listen(TestSocket());
  ASSERT_TRUE(door.ok());
  struct stat st;
  ASSERT_EQ(stat(TestSocket().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(DescriptorDoorTest, ReplacesWhatAnEarlierProcessLeft) {
  { ASSERT_TRUE(DescriptorDoor::Listen(TestSocket()).ok()); }
  const auto door = DescriptorDoor::Listen(TestSocket());
  ASSERT_TRUE(door.ok()) << door.status();
  EXPECT_TRUE(GiveDescriptor(TestSocket(), FileOf("x").get()).ok());
}

// One that connects and is silent, and one that sends no file, cost the others a second at most.
TEST_F(DescriptorDoorTest, GiversThatGiveNothing) {
  const auto door = DescriptorDoor::Listen(TestSocket());
  ASSERT_TRUE(door.ok());
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, TestSocket().c_str());
  std::vector<UniqueFd> bad;
  for (int i = 0; i < 2; ++i) {
    bad.emplace_back(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(bad[i].get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ASSERT_EQ(send(bad[1].get(), "x", 1, 0), 1);
  const auto token = GiveDescriptor(TestSocket(), FileOf("good").get());
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_TRUE((*door)->Take(*token).ok());
}

// Who writes into a pipe that nobody asked for hears of it in the end.
TEST_F(DescriptorDoorTest, WhatNobodyAsksForGoesAfterItsTime) {
  const auto door = DescriptorDoor::Listen(TestSocket(), absl::Milliseconds(50));
  ASSERT_TRUE(door.ok());
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd writer(ends[1]);
  absl::StatusOr<std::string> token;
  {
    const UniqueFd reader(ends[0]);
    token = GiveDescriptor(TestSocket(), reader.get());
    ASSERT_TRUE(token.ok()) << token.status();
  }
  pollfd polled = {writer.get(), 0, 0};
  EXPECT_EQ(poll(&polled, 1, 10'000), 1);
  EXPECT_TRUE(polled.revents & POLLERR);
  EXPECT_TRUE(absl::IsNotFound((*door)->Take(*token).status()));
}

TEST_F(DescriptorDoorTest, TheOldestGoesWhenTooManyWait) {
  const auto door = DescriptorDoor::Listen(TestSocket());
  ASSERT_TRUE(door.ok());
  const UniqueFd file = FileOf("x");
  std::vector<std::string> tokens;
  for (size_t i = 0; i < DescriptorDoor::kMaxWaiting + 1; ++i) {
    const auto token = GiveDescriptor(TestSocket(), file.get());
    ASSERT_TRUE(token.ok());
    tokens.push_back(*token);
  }
  EXPECT_TRUE(absl::IsNotFound((*door)->Take(tokens[0]).status()));
  EXPECT_TRUE((*door)->Take(tokens[1]).ok());
  EXPECT_TRUE((*door)->Take(tokens.back()).ok());
}

TEST_F(DescriptorDoorTest, ManyGiversAtOnce) {
  const auto door = DescriptorDoor::Listen(TestSocket());
  ASSERT_TRUE(door.ok());
  std::vector<std::thread> givers;
  for (int i = 0; i < 8; ++i) {
    givers.emplace_back([&, i] {
      const std::string content = absl::StrCat("of ", i);
      const auto token = GiveDescriptor(TestSocket(), FileOf(content).get());
      ASSERT_TRUE(token.ok()) << token.status();
      const auto taken = (*door)->Take(*token);
      ASSERT_TRUE(taken.ok());
      EXPECT_EQ(ContentOf(taken->get()), content);
    });
  }
  for (std::thread& giver : givers) giver.join();
}

TEST_F(DescriptorDoorTest, PathBesideTheServices) {
  EXPECT_EQ(DescriptorDoorPath("/run/slipway/image.sock"), "/run/slipway/image-files.sock");
  EXPECT_EQ(DescriptorDoorPath("unix:/r/build.sock"), "/r/build-files.sock");
}

}  // namespace
}  // namespace slipway
