#include "runtime-agent/supervisor/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

class PacketTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair_), 0); }
  void TearDown() override {
    close(pair_[0]);
    if (pair_[1] >= 0) close(pair_[1]);
  }
  int pair_[2];
};

TEST_F(PacketTest, TooLargePacketsLeakNoDescriptors) {
  int probe = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(probe);
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  char data[100] = {};
  ASSERT_EQ(SendPacket(pair_[0], data, sizeof(data), &fd, 1, 0), 100);
  close(fd);
  PacketFds fds;
  EXPECT_EQ(ReceivePacket(pair_[1], data, 10, &fds, 0), -1);
  EXPECT_EQ(errno, EMSGSIZE);
  EXPECT_EQ(fds.count, 0);
  fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(fd, probe);
  close(fd);
}

// A peer that dies with unread packets makes the next receive fail, once, before what it had sent:
// a failure report or a descriptor must not be lost for that.
TEST_F(PacketTest, WhatADeadPeerHadSentIsReceived) {
  ASSERT_EQ(SendPacket(pair_[0], "G", 1, nullptr, 0, 0), 1);
  ASSERT_EQ(SendPacket(pair_[1], "report", 6, nullptr, 0, 0), 6);
  close(pair_[1]);
  pair_[1] = -1;
  char data[10];
  PacketFds fds;
  ASSERT_EQ(ReceivePacket(pair_[0], data, sizeof(data), &fds, 0), 6);
  EXPECT_EQ(memcmp(data, "report", 6), 0);
  EXPECT_EQ(ReceivePacket(pair_[0], data, sizeof(data), &fds, 0), 0);
}

}  // namespace
}  // namespace slipway::agent
