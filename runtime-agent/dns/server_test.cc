#include "runtime-agent/dns/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iostream>
#include <thread>

#include "gtest/gtest.h"

// A server in a process of its own, with the sockets of one sandbox; 127.0.0.1:53 of a network
// namespace of the test's is the server outside.
namespace slipway::dns {
namespace {

const std::string kAddress("\x0a\x01\x00\x02", 4);

int Listener(int type, const char* address, uint16_t port, sockaddr_in* bound = nullptr) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address, &local.sin_addr);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof(local)), 0) << strerror(errno);
  if ((type & SOCK_STREAM) != 0) listen(fd, 16);
  socklen_t length = sizeof(local);
  getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length);
  if (bound != nullptr) *bound = local;
  return fd;
}

std::string QueryFor(const std::string& name, uint16_t type, uint16_t id = 77) {
  std::string query(kHeaderBytes, '\0');
  Write16(query, 0, id);
  Write16(query, 2, 0x0100);
  Write16(query, 4, 1);
  query += EncodeName(name);
  query += std::string("\0", 1) + static_cast<char>(type) + std::string("\0\1", 2);
  return query;
}

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    ASSERT_EQ(system("ip link set lo up"), 0);
    int control[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
    control_ = control[0];
    child_ = fork();
    if (child_ == 0) {
      close(control[0]);
      Server server(control[1]);
      _exit(server.Run());
    }
    close(control[1]);
    udp_ = Listener(SOCK_DGRAM | SOCK_NONBLOCK, "127.0.0.1", 0, &udp_address_);
    tcp_ = Listener(SOCK_STREAM | SOCK_NONBLOCK, "127.0.0.1", 0, &tcp_address_);
    PutSandbox({"127.0.0.1"}, true);
    Send(EndpointRecord{"net", "mynet", "c1", {"web"}, kAddress, ""}, false);
  }
  void TearDown() override {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    for (const int fd : {control_, udp_, tcp_}) close(fd);
  }

  void PutSandbox(std::vector<std::string> upstreams, bool with_sockets) {
    Send(SandboxRecord{.id = "s", .network_ids = {"net"}, .upstreams = std::move(upstreams)},
         with_sockets);
  }
  void Send(const ControlMessage& message, bool with_sockets) {
    std::string bytes = EncodeControl(message);
    iovec piece = {bytes.data(), bytes.size()};
    msghdr header = {};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char ancillary[CMSG_SPACE(2 * sizeof(int))] = {};
    if (with_sockets) {
      header.msg_control = ancillary;
      header.msg_controllen = sizeof(ancillary);
      cmsghdr* part = CMSG_FIRSTHDR(&header);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(2 * sizeof(int));
      const int fds[] = {udp_, tcp_};
      memcpy(CMSG_DATA(part), fds, sizeof(fds));
    }
    ASSERT_GT(sendmsg(control_, &header, 0), 0);
  }

  std::string Ask(const std::string& query, int timeout_ms = 3000) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    connect(fd, reinterpret_cast<sockaddr*>(&udp_address_), sizeof(udp_address_));
    send(fd, query.data(), query.size(), 0);
    pollfd wait = {.fd = fd, .events = POLLIN};
    std::string answer(4096, '\0');
    const ssize_t size =
        poll(&wait, 1, timeout_ms) == 1 ? recv(fd, answer.data(), answer.size(), 0) : 0;
    answer.resize(static_cast<size_t>(std::max<ssize_t>(0, size)));
    close(fd);
    return answer;
  }
  std::string AskTcp(const std::string& query) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connect(fd, reinterpret_cast<sockaddr*>(&tcp_address_), sizeof(tcp_address_));
    std::string framed(2, '\0');
    Write16(framed, 0, static_cast<uint16_t>(query.size()));
    framed += query;
    // In two pieces, as a network may deliver them.
    send(fd, framed.data(), 5, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    send(fd, framed.data() + 5, framed.size() - 5, 0);
    std::string answer(65537, '\0');
    size_t size = 0;
    while (size < 2 || size < 2u + Read16(answer, 0)) {
      const ssize_t got = recv(fd, answer.data() + size, answer.size() - size, 0);
      if (got <= 0) break;
      size += static_cast<size_t>(got);
    }
    answer.resize(size);
    close(fd);
    return size < 2 ? "" : answer.substr(2);
  }

  int control_ = -1, udp_ = -1, tcp_ = -1;
  pid_t child_ = 0;
  sockaddr_in udp_address_ = {}, tcp_address_ = {};
};

// Answers one question that arrives outside with what `make` makes of it.
template <typename Make>
std::thread Outside(int fd, int times, Make make) {
  return std::thread([fd, times, make] {
    for (int i = 0; i < times; ++i) {
      char buffer[4096];
      sockaddr_in from = {};
      socklen_t length = sizeof(from);
      pollfd wait = {.fd = fd, .events = POLLIN};
      if (poll(&wait, 1, 5000) != 1) return;
      const ssize_t size =
          recvfrom(fd, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &length);
      const std::string answer = make(std::string(buffer, static_cast<size_t>(size)));
      sendto(fd, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
  });
}

std::string AnswerTo(const std::string& request, const std::string& address) {
  const auto query = ParseQuery(request);
  return BuildAnswer(request, *query, kNoError, {{kTypeA, address}}, 60, false);
}

TEST_F(ServerTest, GarbageGetsNoAnswerOrAFormatError) {
  EXPECT_EQ(Ask("x", 100), "");
  const std::string error = Ask(std::string(12, '\0'));
  ASSERT_EQ(error.size(), kHeaderBytes);
  EXPECT_EQ(error[3] & 0xf, kFormErr);
  std::string update = QueryFor("web", kTypeA);
  update[2] = 0x28;  // opcode 5
  EXPECT_EQ(ParseAnswer(Ask(update))->rcode, kNotImp);
}

TEST_F(ServerTest, AnswersForNamesOfTheNetworkAtOnce) {
  const std::string answer = Ask(QueryFor("WEB", kTypeA));
  ASSERT_TRUE(ParseAnswer(answer).has_value());
  EXPECT_EQ(answer.substr(answer.size() - 4), kAddress);
  EXPECT_EQ(ParseAnswer(Ask(QueryFor("web", kTypeAaaa)))->rcode, kNoError);
  EXPECT_TRUE(ParseAnswer(AskTcp(QueryFor("web", kTypeA))).has_value());
  std::vector<double> times;
  for (int i = 0; i < 500; ++i) {
    const auto start = std::chrono::steady_clock::now();
    Ask(QueryFor("web", kTypeA));
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  std::cout << "[ NUMBER   ] median answer " << times[250] << " us\n";
}

TEST_F(ServerTest, WhatTheAgentSaidIsKnownToWhoAsksAfterwards) {
  for (int i = 0; i < 200; ++i) {
    const std::string name = "c" + std::to_string(i);
    Send(EndpointRecord{"net", "mynet", name, {name}, kAddress, ""}, false);
    ASSERT_EQ(ParseAnswer(Ask(QueryFor(name, kTypeA)))->ttl_offsets.size(), 1u) << name;
  }
}

TEST_F(ServerTest, PassesOnKeepsAndDoesNotBelieveOthers) {
  const int outside = Listener(SOCK_DGRAM, "127.0.0.1", 53);
  int asked = 0;
  std::thread server = Outside(outside, 2, [&asked](const std::string& request) {
    ++asked;
    // First one with another id, then one to another question.
    if (asked == 1) {
      std::string wrong = AnswerTo(request, "\x06\x06\x06\x06");
      Write16(wrong, 0, static_cast<uint16_t>(Read16(wrong, 0) + 1));
      return wrong;
    }
    return AnswerTo(request, "\x05\x05\x05\x05");
  });
  // The wrong answer is as if none had come: the question is asked again.
  const std::string answer = Ask(QueryFor("outside.example", kTypeA), 5000);
  server.join();
  ASSERT_TRUE(ParseAnswer(answer).has_value());
  EXPECT_EQ(ParseAnswer(answer)->id, 77);
  EXPECT_EQ(answer.substr(answer.size() - 4), "\x05\x05\x05\x05");
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(Ask(QueryFor("OUTSIDE.example", kTypeA, 78)).size(), answer.size()) << "kept";
  close(outside);
}

TEST_F(ServerTest, AnAnswerFromTheCacheHasTheSpellingOfItsQuestion) {
  const int outside = Listener(SOCK_DGRAM, "127.0.0.1", 53);
  std::thread server =
      Outside(outside, 1, [](const std::string& request) { return AnswerTo(request, "\1\1\1\1"); });
  const std::string first = QueryFor("www.test", kTypeA), second = QueryFor("WwW.TeSt", kTypeA);
  const std::string answer = Ask(first);
  server.join();
  close(outside);  // what comes now was kept
  ASSERT_TRUE(ParseAnswer(answer).has_value());
  std::string other = Ask(second);
  ASSERT_EQ(other.size(), answer.size());
  const size_t length = first.size() - kHeaderBytes;
  EXPECT_EQ(answer.substr(kHeaderBytes, length), first.substr(kHeaderBytes));
  EXPECT_EQ(other.substr(kHeaderBytes, length), second.substr(kHeaderBytes));
  EXPECT_EQ(other.substr(second.size()), answer.substr(first.size()));
}

TEST_F(ServerTest, WhoIsSlowerThanAnAttemptStillAnswers) {
  const int outside = Listener(SOCK_DGRAM, "127.0.0.1", 53);
  std::vector<std::string> requests;
  std::thread server = Outside(outside, 1, [&requests](const std::string& request) {
    requests.push_back(request);
    std::this_thread::sleep_for(std::chrono::seconds(3));
    return AnswerTo(request, "\1\1\1\1");
  });
  const std::string answer = Ask(QueryFor("slow.example", kTypeA), 6000);
  server.join();
  ASSERT_TRUE(ParseAnswer(answer).has_value());
  EXPECT_EQ(ParseAnswer(answer)->rcode, kNoError);
  EXPECT_EQ(answer.substr(answer.size() - 4), "\1\1\1\1");
  // Meanwhile it was asked again, in the same words.
  char again[4096];
  const ssize_t size = recv(outside, again, sizeof(again), MSG_DONTWAIT);
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string(again, static_cast<size_t>(size)), requests.at(0));
  close(outside);
}

TEST_F(ServerTest, ADeafServerIsGivenUpAfterFiveSeconds) {
  const int outside = Listener(SOCK_DGRAM, "127.0.0.1", 53);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ParseAnswer(Ask(QueryFor("deaf.example", kTypeA), 8000))->rcode, kServFail);
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, std::chrono::milliseconds(4900));
  EXPECT_LT(took, std::chrono::milliseconds(6500));
  close(outside);
}

TEST_F(ServerTest, TheFirstServerThatKnowsCounts) {
  PutSandbox({"127.0.0.2", "127.0.0.1", "127.0.0.3"}, false);
  const int refusing = Listener(SOCK_DGRAM, "127.0.0.2", 53);
  const int knowing = Listener(SOCK_DGRAM, "127.0.0.1", 53);  // and 127.0.0.3 is deaf
  std::thread first = Outside(refusing, 1, [](const std::string& request) {
    return BuildAnswer(request, *ParseQuery(request), kRefused, {}, 0, false);
  });
  std::thread second =
      Outside(knowing, 1, [](const std::string& request) { return AnswerTo(request, "\1\1\1\1"); });
  const auto start = std::chrono::steady_clock::now();
  const std::string answer = Ask(QueryFor("known.example", kTypeA));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_EQ(answer.substr(answer.size() - 4), "\1\1\1\1");
  first.join();
  second.join();
  close(refusing);
  close(knowing);
}

TEST_F(ServerTest, WithoutServersNamesOutsideDoNotExist) {
  PutSandbox({}, false);
  EXPECT_EQ(ParseAnswer(Ask(QueryFor("outside.example", kTypeA)))->rcode, kNxDomain);
}

TEST_F(ServerTest, NobodyOutsideMeansServerFailure) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ParseAnswer(Ask(QueryFor("x.example", kTypeA), 6000))->rcode, kServFail);
  // Refused at once: nobody waits for what cannot come.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST_F(ServerTest, LargeAnswersComeByTcp) {
  const int outside = Listener(SOCK_STREAM, "127.0.0.1", 53);
  std::thread server([outside] {
    const int client = accept(outside, nullptr, nullptr);
    char buffer[4096];
    const ssize_t size = recv(client, buffer, sizeof(buffer), 0);
    const std::string request(buffer + 2, static_cast<size_t>(size) - 2);
    std::string answer = BuildAnswer(request, *ParseQuery(request), kNoError,
                                     std::vector<Record>(300, {kTypeA, "\1\1\1\1"}), 60, true);
    std::string framed(2, '\0');
    Write16(framed, 0, static_cast<uint16_t>(answer.size()));
    framed += answer;
    send(client, framed.data(), framed.size(), 0);
    close(client);
  });
  const std::string answer = AskTcp(QueryFor("large.example", kTypeA));
  server.join();
  ASSERT_TRUE(ParseAnswer(answer).has_value());
  EXPECT_EQ(ParseAnswer(answer)->ttl_offsets.size(), 300u);
  close(outside);
}

TEST_F(ServerTest, GoesOnWithoutTheAgent) {
  EXPECT_TRUE(ParseAnswer(Ask(QueryFor("web", kTypeA))).has_value());
  close(control_);
  control_ = -1;
  EXPECT_TRUE(ParseAnswer(Ask(QueryFor("web", kTypeA))).has_value());
}

}  // namespace
}  // namespace slipway::dns
