#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "runtime-agent/dns/server.h"

// Questions that are passed on to other servers. Each goes to all of them at once, from a socket of
// its own for each, which with the random id is what an answer must match (RFC 5452).
namespace slipway::dns {
namespace {

constexpr size_t kMaxForwards = 1024;
constexpr size_t kMaxForwardsOfSandbox = 256;
constexpr size_t kMaxUpstreams = 8;
constexpr int kAttempts = 2;
constexpr int64_t kAttemptMs = 2000;
// As long as a resolver waits by itself (resolv.conf(5), timeout).
constexpr int64_t kUdpMs = 5000;
constexpr int64_t kTcpMs = 4000;
constexpr uint16_t kPort = 53;

int64_t NowMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

uint16_t RandomId() {
  uint16_t id = 0;
  (void)!getrandom(&id, sizeof(id), 0);
  return id;
}

}  // namespace

void Server::Pass(Sandbox& sandbox, const Asker& asker, const Query& query,
                  std::string_view request) {
  Forward forward{.asker = asker, .query = query, .request = std::string(request)};
  forward.cache_key = Cache::KeyOf(query, sandbox.upstream_key);
  std::string kept = cache_.Find(forward.cache_key, NowMs() / 1000);
  if (!kept.empty() && (asker.connection != 0 || kept.size() <= query.udp_bytes) &&
      UseSpellingOf(request, query, kept)) {
    Write16(kept, 0, query.id);
    return Reply(asker, std::move(kept));
  }
  const auto of_sandbox = std::count_if(forwards_.begin(), forwards_.end(), [&](const auto& one) {
    return one.second.asker.sandbox == asker.sandbox;
  });
  if (forwards_.size() >= kMaxForwards ||
      static_cast<size_t>(of_sandbox) >= kMaxForwardsOfSandbox) {
    return Reply(asker, BuildAnswer(request, query, kServFail, {}, 0, asker.connection != 0));
  }
  forward.upstreams = sandbox.record.upstreams;
  if (forward.upstreams.size() > kMaxUpstreams) forward.upstreams.resize(kMaxUpstreams);
  const uint64_t number = next_number_++;
  AskUpstreams(number, forwards_.emplace(number, std::move(forward)).first->second);
}

int Server::OpenUpstream(const std::string& address, bool tcp) {
  sockaddr_storage to = {};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
  socklen_t length = 0;
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(kPort);
    length = sizeof(*v4);
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(kPort);
    length = sizeof(*v6);
  } else {
    return -1;
  }
  const int fd =
      socket(to.ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), length) != 0 && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

// Asking again is the same question by the same socket: who is slow to answer the first one may
// still do so.
void Server::AskUpstreams(uint64_t number, Forward& forward) {
  const bool tcp = forward.asker.connection != 0;
  if (forward.attempts == 0) forward.give_up_ms = NowMs() + (tcp ? kTcpMs : kUdpMs);
  forward.attempts = tcp ? kAttempts : forward.attempts + 1;
  forward.failures = 0;
  forward.deadline_ms = forward.attempts < kAttempts ? NowMs() + kAttemptMs : forward.give_up_ms;
  forward.sockets.resize(forward.upstreams.size(), -1);
  forward.ids.resize(forward.upstreams.size(), 0);
  for (size_t i = 0; i < forward.upstreams.size(); ++i) {
    int& fd = forward.sockets[i];
    if (fd < 0) {
      fd = OpenUpstream(forward.upstreams[i], tcp);
      if (fd < 0) {
        ++forward.failures;
        continue;
      }
      forward.ids[i] = RandomId();
      // By TCP it is sent when the connection is there.
      Watch(fd, tcp ? EPOLLOUT : EPOLLIN, {.role = Role::kUpstream, .number = number});
    }
    if (tcp) continue;
    std::string request = forward.request;
    Write16(request, 0, forward.ids[i]);
    // A refusal comes back as an event.
    send(fd, request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  if (forward.failures == static_cast<int>(forward.upstreams.size())) {
    UpstreamFailed(number, forward);
  }
}

void Server::ReadUpstream(int fd, uint32_t events) {
  Watched& watched = watched_.at(fd);
  const uint64_t number = watched.number;
  const auto found = forwards_.find(number);
  if (found == forwards_.end()) return Unwatch(fd);
  Forward& forward = found->second;
  const auto place = std::find(forward.sockets.begin(), forward.sockets.end(), fd);
  if (place == forward.sockets.end()) return Unwatch(fd);
  const auto index = static_cast<size_t>(place - forward.sockets.begin());
  const auto give_up = [&] {
    forward.sockets[index] = -1;
    Unwatch(fd);
    if (++forward.failures == static_cast<int>(forward.upstreams.size())) {
      UpstreamFailed(number, forward);
    }
  };
  const bool tcp = forward.asker.connection != 0;
  if ((events & EPOLLOUT) != 0) {
    std::string request(2, '\0');
    Write16(request, 0, static_cast<uint16_t>(forward.request.size()));
    request += forward.request;
    Write16(request, 2, forward.ids[index]);
    // Into an empty buffer it goes whole, or not at all.
    const ssize_t sent = send(fd, request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request.size())) return give_up();
    Watch(fd, EPOLLIN, {.role = Role::kUpstream, .number = number});
    return;
  }
  static std::array<char, kMaxMessageBytes> buffer;
  const ssize_t size = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0 || (tcp && size == 0)) return give_up();
  std::string_view message(buffer.data(), static_cast<size_t>(size));
  if (tcp) {
    watched.input.append(message);
    if (watched.input.size() < 2) return;
    const size_t length = Read16(watched.input, 0);
    if (watched.input.size() < 2 + length) return;
    const std::string whole = watched.input.substr(2, length);
    if (!TakeAnswer(number, forward, index, whole)) give_up();
    return;
  }
  // What is no answer to the question is as if it had not come.
  TakeAnswer(number, forward, index, message);
}

// Whether it is an answer to the question. The forward may be over afterwards.
bool Server::TakeAnswer(uint64_t number, Forward& forward, size_t index, std::string_view message) {
  const auto answer = ParseAnswer(message);
  if (!answer.has_value() || answer->id != forward.ids[index] ||
      answer->name != forward.query.name || answer->type != forward.query.type ||
      answer->klass != forward.query.klass) {
    return false;
  }
  std::string reply(message);
  Write16(reply, 0, forward.query.id);
  if (answer->rcode != kNoError && answer->rcode != kNxDomain) {
    // Another server may know.
    const int fd = forward.sockets[index];
    forward.refusal = std::move(reply);
    forward.sockets[index] = -1;
    Unwatch(fd);
    if (++forward.failures == static_cast<int>(forward.upstreams.size())) {
      forward.attempts = kAttempts;
      UpstreamFailed(number, forward);
    }
    return true;
  }
  cache_.Put(forward.cache_key, *answer, reply, NowMs() / 1000);
  if (forward.asker.connection == 0 && reply.size() > forward.query.udp_bytes) {
    // More than the client takes: it asks again by TCP.
    reply.resize(forward.query.question_end);
    Write16(reply, 2, static_cast<uint16_t>(Read16(reply, 2) | 0x0200));
    for (const size_t offset : {6, 8, 10}) Write16(reply, offset, 0);
  }
  FinishForward(number, std::move(reply));
  return true;
}

// None of them will answer, or none has for some time.
void Server::UpstreamFailed(uint64_t number, Forward& forward) {
  if (forward.attempts < kAttempts) return AskUpstreams(number, forward);
  std::string refusal = std::move(forward.refusal);
  if (refusal.empty()) {
    refusal = BuildAnswer(forward.request, forward.query, kServFail, {}, 0,
                          forward.asker.connection != 0);
  }
  FinishForward(number, std::move(refusal));
}

void Server::FinishForward(uint64_t number, std::string answer) {
  const auto found = forwards_.find(number);
  if (found == forwards_.end()) return;
  const Asker asker = found->second.asker;
  CloseSockets(found->second);
  forwards_.erase(found);
  Reply(asker, std::move(answer));
}

void Server::CloseSockets(Forward& forward) {
  for (int& fd : forward.sockets) {
    if (fd >= 0) Unwatch(fd);
    fd = -1;
  }
}

}  // namespace slipway::dns
