#include "services/build/rpc/ssh_relay.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace slipway::build {
namespace {

class SshRelayTest : public testing::Test {
 protected:
  SshRelayTest() : path_(absl::StrCat("/tmp/ssh-relay-", getpid(), ".sock")) {}
  ~SshRelayTest() override { unlink(path_.c_str()); }

  UniqueFd Connect() {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, path_.c_str());
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }

  // What the client gets next.
  v1::AgentBytes Next() {
    absl::MutexLock lock(&mu_);
    const auto some = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return !sent_.empty(); };
    mu_.Await(absl::Condition(&some));
    v1::AgentBytes bytes = std::move(sent_.front());
    sent_.pop_front();
    return bytes;
  }

  void Answer(uint32_t connection, const std::string& data, bool end = false) {
    v1::AgentBytes bytes;
    bytes.set_connection(connection);
    bytes.set_data(data);
    bytes.set_end(end);
    relay_.Take(std::move(bytes));
  }

  // Everything until the end.
  static std::string ReadAll(int fd) {
    std::string all;
    char piece[1000];
    for (ssize_t count = 0; (count = read(fd, piece, sizeof(piece))) > 0;) {
      all.append(piece, static_cast<size_t>(count));
    }
    return all;
  }

  const std::string path_;
  absl::Mutex mu_;
  std::deque<v1::AgentBytes> sent_ ABSL_GUARDED_BY(mu_);
  SshRelay relay_{{"default"}, [this](v1::AgentBytes bytes) {
                    absl::MutexLock lock(&mu_);
                    sent_.push_back(std::move(bytes));
                  }};
};

TEST_F(SshRelayTest, WhatIsNotThere) {
  EXPECT_TRUE(relay_.Has("default"));
  EXPECT_FALSE(relay_.Has("other"));
  EXPECT_FALSE(relay_.Listen("default", "/tmp/" + std::string(200, 'x'), 0600).ok());
  EXPECT_FALSE(relay_.Listen("default", "/nowhere/x.sock", 0600).ok());
  Answer(7, "of no connection");
}

TEST_F(SshRelayTest, TwoConnectionsAtOnce) {
  const auto socket = relay_.Listen("default", path_, 0620);
  ASSERT_TRUE(socket.ok()) << socket.status();
  struct stat st;
  ASSERT_EQ(stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0620u);
  const UniqueFd one = Connect();
  const uint32_t first = Next().connection();
  const UniqueFd two = Connect();
  const v1::AgentBytes opened = Next();
  EXPECT_EQ(opened.agent(), "default");
  EXPECT_NE(opened.connection(), first);
  ASSERT_EQ(write(two.get(), "b?", 2), 2);
  const v1::AgentBytes asked = Next();
  EXPECT_EQ(asked.connection(), opened.connection());
  EXPECT_EQ(asked.data(), "b?");
  Answer(opened.connection(), "b!", true);
  EXPECT_EQ(ReadAll(two.get()), "b!");
  Answer(first, "a", false);
  Answer(first, "!", true);
  EXPECT_EQ(ReadAll(one.get()), "a!");
}

TEST_F(SshRelayTest, ConnectionThatTheStepEnds) {
  const auto socket = relay_.Listen("default", path_, 0600);
  ASSERT_TRUE(socket.ok());
  UniqueFd connection = Connect();
  const uint32_t number = Next().connection();
  connection.reset();
  const v1::AgentBytes ended = Next();
  EXPECT_EQ(ended.connection(), number);
  EXPECT_TRUE(ended.end());
  Answer(number, "too late");
}

TEST_F(SshRelayTest, StepThatTakesNothing) {
  const auto socket = relay_.Listen("default", path_, 0600);
  ASSERT_TRUE(socket.ok());
  const UniqueFd connection = Connect();
  const uint32_t number = Next().connection();
  for (size_t i = 0; i < 8; ++i) Answer(number, std::string(SshRelay::kMaxWaiting / 4, 'x'));
  EXPECT_TRUE(Next().end());
}

TEST_F(SshRelayTest, EndOfTheSocketEndsItsConnections) {
  auto socket = relay_.Listen("default", path_, 0600);
  ASSERT_TRUE(socket.ok());
  const UniqueFd connection = Connect();
  (void)Next();
  socket->reset();
  EXPECT_TRUE(Next().end());
  EXPECT_EQ(ReadAll(connection.get()), "");
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace slipway::build
