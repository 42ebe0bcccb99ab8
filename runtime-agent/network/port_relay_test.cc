#include "runtime-agent/network/port_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace slipway::agent {
namespace {

constexpr uint32_t kLoopback = 0x7f000001;

template <typename Address>
uint16_t PortOf(int fd) {
  Address address = {};
  socklen_t length = sizeof(address);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

// The container: a socket on 127.0.0.1.
UniqueFd Server(int type) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(kLoopback)}};
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  if (type == SOCK_STREAM) {
    EXPECT_EQ(listen(fd.get(), 16), 0);
  }
  return fd;
}

sockaddr_in6 Loopback6(uint16_t port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  address.sin6_port = htons(port);
  return address;
}

// As PortReservations hold it.
UniqueFd Held(int type, uint16_t port = 0) {
  UniqueFd fd(socket(AF_INET6, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in6 address = Loopback6(port);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      (type == SOCK_STREAM && listen(fd.get(), 0) != 0)) {
    return UniqueFd();
  }
  return fd;
}

void SetTimeout(int fd) {
  const timeval timeout = {.tv_sec = 10};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

UniqueFd ConnectTo(int type, uint16_t port) {
  UniqueFd fd(socket(AF_INET6, type | SOCK_CLOEXEC, 0));
  const sockaddr_in6 address = Loopback6(port);
  SetTimeout(fd.get());
  return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0
             ? std::move(fd)
             : UniqueFd();
}

UniqueFd AcceptFrom(const UniqueFd& server) {
  UniqueFd fd(accept(server.get(), nullptr, nullptr));
  SetTimeout(fd.get());
  return fd;
}

std::string ReadToEnd(int fd) {
  std::string all;
  char buffer[4096];
  ssize_t count;
  while ((count = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
    all.append(buffer, static_cast<size_t>(count));
  }
  EXPECT_EQ(count, 0);
  return all;
}

void SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ASSERT_GT(count, 0) << strerror(errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

class PortRelayTest : public ::testing::Test {
 protected:
  void Relay(int type) {
    server_ = Server(type);
    UniqueFd held = Held(type);
    ASSERT_TRUE(held.ok());
    port_ = {.container_port = PortOf<sockaddr_in>(server_.get()),
             .protocol = type == SOCK_STREAM ? PortProtocol::kTcp : PortProtocol::kUdp,
             .host_address = "::1",
             .host_port = PortOf<sockaddr_in6>(held.get())};
    ASSERT_TRUE(relay_.Add(port_, std::move(held), kLoopback).ok());
  }

  UniqueFd server_;
  PublishedPort port_;
  PortRelay relay_;
};

TEST_F(PortRelayTest, CarriesBothWaysAndEachEndByItself) {
  Relay(SOCK_STREAM);
  const UniqueFd client = ConnectTo(SOCK_STREAM, port_.host_port);
  ASSERT_TRUE(client.ok());
  const UniqueFd inside = AcceptFrom(server_);
  SendAll(client.get(), "question");
  shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(ReadToEnd(inside.get()), "question");
  SendAll(inside.get(), "answer");
  shutdown(inside.get(), SHUT_WR);
  EXPECT_EQ(ReadToEnd(client.get()), "answer");
}

TEST_F(PortRelayTest, WaitsForSlowReaders) {
  Relay(SOCK_STREAM);
  const UniqueFd client = ConnectTo(SOCK_STREAM, port_.host_port);
  const UniqueFd inside = AcceptFrom(server_);
  std::string sent(32 << 20, '\0');
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 2654435761u >> 24);
  // Both directions are full before anybody reads.
  std::thread up([&] {
    SendAll(client.get(), sent);
    shutdown(client.get(), SHUT_WR);
  });
  std::thread down([&] {
    SendAll(inside.get(), sent);
    shutdown(inside.get(), SHUT_WR);
  });
  std::string received;
  std::thread reader([&] { received = ReadToEnd(client.get()); });
  EXPECT_TRUE(ReadToEnd(inside.get()) == sent);
  reader.join();
  EXPECT_TRUE(received == sent);
  up.join();
  down.join();
}

TEST_F(PortRelayTest, ManyAtOnce) {
  Relay(SOCK_STREAM);
  std::vector<UniqueFd> clients, inside;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(ConnectTo(SOCK_STREAM, port_.host_port));
    ASSERT_TRUE(clients.back().ok());
    inside.push_back(AcceptFrom(server_));
    SendAll(clients.back().get(), std::to_string(i));
    shutdown(clients.back().get(), SHUT_WR);
  }
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(ReadToEnd(inside[static_cast<size_t>(i)].get()), std::to_string(i));
}

TEST_F(PortRelayTest, EndsTheConnectionWhereNobodyListens) {
  Relay(SOCK_STREAM);
  server_.reset();
  const UniqueFd client = ConnectTo(SOCK_STREAM, port_.host_port);
  ASSERT_TRUE(client.ok());
  char byte;
  EXPECT_LE(recv(client.get(), &byte, 1, 0), 0);
  EXPECT_NE(errno, EAGAIN);
}

TEST_F(PortRelayTest, TheOneThatBreaksOffEndsTheOther) {
  Relay(SOCK_STREAM);
  UniqueFd client = ConnectTo(SOCK_STREAM, port_.host_port);
  const UniqueFd inside = AcceptFrom(server_);
  SendAll(inside.get(), "unread");
  pollfd arrived = {.fd = client.get(), .events = POLLIN};
  ASSERT_EQ(poll(&arrived, 1, 10'000), 1);
  client.reset();  // resets, for what it did not read
  char byte;
  EXPECT_LE(recv(inside.get(), &byte, 1, 0), 0);
  EXPECT_NE(errno, EAGAIN);
}

TEST_F(PortRelayTest, LeavesThePortAndItsConnectionsWithIt) {
  Relay(SOCK_STREAM);
  const UniqueFd client = ConnectTo(SOCK_STREAM, port_.host_port);
  const UniqueFd inside = AcceptFrom(server_);
  relay_.Remove(port_);
  EXPECT_TRUE(Held(SOCK_STREAM, port_.host_port).ok());
  char byte;
  EXPECT_LE(recv(client.get(), &byte, 1, 0), 0);
  EXPECT_LE(recv(inside.get(), &byte, 1, 0), 0);
  relay_.Remove(port_);
}

TEST_F(PortRelayTest, DatagramsGetTheirAnswersBack) {
  Relay(SOCK_DGRAM);
  SetTimeout(server_.get());
  for (int i = 0; i < 3; ++i) {
    const UniqueFd client = ConnectTo(SOCK_DGRAM, port_.host_port);
    for (const std::string text : {"first", "", "second"}) {
      ASSERT_EQ(send(client.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
      char buffer[64];
      sockaddr_in peer = {};
      socklen_t length = sizeof(peer);
      const ssize_t count = recvfrom(server_.get(), buffer, sizeof(buffer), 0,
                                     reinterpret_cast<sockaddr*>(&peer), &length);
      ASSERT_EQ(std::string(buffer, static_cast<size_t>(count)), text);
      const std::string answer = "re: " + text;
      sendto(server_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer),
             length);
      const ssize_t back = recv(client.get(), buffer, sizeof(buffer), 0);
      ASSERT_EQ(std::string(buffer, static_cast<size_t>(back)), answer);
    }
  }
  relay_.Remove(port_);
  EXPECT_TRUE(Held(SOCK_DGRAM, port_.host_port).ok());
}

}  // namespace
}  // namespace slipway::agent
