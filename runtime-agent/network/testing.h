#ifndef RUNTIME_AGENT_NETWORK_TESTING_H_
#define RUNTIME_AGENT_NETWORK_TESTING_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "base/os/unique_fd.h"
#include "gtest/gtest.h"

// Talk between network namespaces, for tests.
namespace slipway::agent {

inline constexpr int kStream = SOCK_STREAM, kDatagram = SOCK_DGRAM;

inline void Inside(int netns_fd, const std::function<void()>& work) {
  std::thread thread([&] {
    ASSERT_EQ(setns(netns_fd, CLONE_NEWNET), 0);
    work();
  });
  thread.join();
}

inline sockaddr_in SocketAddress(const std::string& address, uint16_t port) {
  sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address.c_str(), &result.sin_addr);
  return result;
}

// Answers each message with "<peer's address>" in the namespace where it was started.
class PeerNameServer {
 public:
  PeerNameServer(int netns_fd, int type, uint16_t port) : stop_(eventfd(0, EFD_CLOEXEC)) {
    Inside(netns_fd, [&] {
      socket_ = UniqueFd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
      sockaddr_in local = SocketAddress("0.0.0.0", port);
      ASSERT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0);
      if (type == kStream) {
        ASSERT_EQ(listen(socket_.get(), 128), 0);
      }
    });
    thread_ = std::thread([this, type] { Serve(type); });
  }
  ~PeerNameServer() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }

 private:
  void Serve(int type) {
    for (;;) {
      pollfd fds[] = {{.fd = stop_.get(), .events = POLLIN},
                      {.fd = socket_.get(), .events = POLLIN}};
      if (poll(fds, 2, -1) < 0 || fds[0].revents != 0) return;
      sockaddr_in peer = {};
      socklen_t length = sizeof(peer);
      char text[INET_ADDRSTRLEN] = {};
      if (type == kStream) {
        UniqueFd client(accept(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &length));
        inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
        send(client.get(), text, strlen(text), MSG_NOSIGNAL);
      } else {
        char buffer[64];
        recvfrom(socket_.get(), buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&peer),
                 &length);
        inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
        sendto(socket_.get(), text, strlen(text), 0, reinterpret_cast<sockaddr*>(&peer), length);
      }
    }
  }

  UniqueFd stop_;
  UniqueFd socket_;
  std::thread thread_;
};

// What a PeerNameServer answers to a client in the calling thread's namespace; "" when nothing
// does.
inline std::string Ask(int type, const std::string& address, uint16_t port, int timeout_ms = 1500) {
  const bool v6 = address.find(':') != std::string::npos;
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0));
  timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  sockaddr_in remote = SocketAddress(address, port);
  sockaddr_in6 remote6 = {};
  remote6.sin6_family = AF_INET6;
  remote6.sin6_port = htons(port);
  inet_pton(AF_INET6, address.c_str(), &remote6.sin6_addr);
  const int connected =
      v6 ? connect(fd.get(), reinterpret_cast<sockaddr*>(&remote6), sizeof(remote6))
         : connect(fd.get(), reinterpret_cast<sockaddr*>(&remote), sizeof(remote));
  if (connected != 0) return "";
  if (type == kDatagram && send(fd.get(), "?", 1, 0) != 1) return "";
  char text[64];
  ssize_t n = recv(fd.get(), text, sizeof(text), 0);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "";
}

inline std::string AskFrom(int netns_fd, int type, const std::string& address, uint16_t port,
                           int timeout_ms = 1500) {
  std::string answer;
  Inside(netns_fd, [&] { answer = Ask(type, address, port, timeout_ms); });
  return answer;
}

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_TESTING_H_
