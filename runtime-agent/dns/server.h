#ifndef RUNTIME_AGENT_DNS_SERVER_H_
#define RUNTIME_AGENT_DNS_SERVER_H_

#include <netinet/in.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime-agent/dns/cache.h"
#include "runtime-agent/dns/control.h"
#include "runtime-agent/dns/directory.h"
#include "runtime-agent/dns/message.h"

namespace slipway::dns {

// The server of all sandboxes of a host, on one thread: answers for names in their networks, passes
// everything else on to the name servers of the sandbox, all at once, and keeps their answers. What
// the agent says (`control_fd`) is always read before a question is answered, so that who was told
// of a container finds it. Everything is bounded: questions under way, connections, time, memory.
class Server {
 public:
  // Takes the descriptor over.
  explicit Server(int control_fd);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Until the process is ended; also when the agent goes away. Returns when epoll cannot be used.
  int Run();

 private:
  struct Sandbox {
    SandboxRecord record;
    std::string upstream_key;
    int udp = -1;
    int tcp = -1;
    int connections = 0;
  };
  // A client's connection: messages with their length in front (RFC 1035, 4.2.2).
  struct Connection {
    int fd = -1;
    std::string sandbox;
    std::string input;
    std::string output;
    int64_t deadline_ms = 0;
    uint64_t number = 0;
  };
  // Who waits for an answer.
  struct Asker {
    std::string sandbox;
    sockaddr_in address = {};  // of UDP
    uint64_t connection = 0;   // of TCP; zero: UDP
    int connection_fd = -1;
  };
  // A question that was passed on.
  struct Forward {
    Asker asker;
    Query query;
    std::string request;
    std::string cache_key;
    std::vector<std::string> upstreams;
    std::vector<int> sockets;
    std::vector<uint16_t> ids;
    int failures = 0;
    int attempts = 0;
    std::string refusal;      // the best of the answers that say no
    int64_t deadline_ms = 0;  // of the attempt
    int64_t give_up_ms = 0;   // of all
  };
  enum class Role { kControl, kUdp, kListener, kConnection, kUpstream };
  struct Watched {
    Role role = Role::kControl;
    std::string sandbox;
    uint64_t number = 0;  // of the connection or the question
    std::string input;    // of an upstream by TCP
  };

  void ReadControl();
  void Apply(ControlMessage message, std::vector<int>& fds);
  void DropSandbox(const std::string& id);
  void Handle(int fd, uint32_t events);

  void ReadUdp(const std::string& sandbox_id);
  void Accept(const std::string& sandbox_id);
  void ReadConnection(int fd, uint32_t events);
  void WriteConnection(Connection& connection);
  void CloseConnection(int fd);
  void Answer(Sandbox& sandbox, const Asker& asker, std::string_view request);
  void Reply(const Asker& asker, std::string answer);

  void Pass(Sandbox& sandbox, const Asker& asker, const Query& query, std::string_view request);
  void AskUpstreams(uint64_t number, Forward& forward);
  int OpenUpstream(const std::string& address, bool tcp);
  void ReadUpstream(int fd, uint32_t events);
  bool TakeAnswer(uint64_t number, Forward& forward, size_t index, std::string_view message);
  void UpstreamFailed(uint64_t number, Forward& forward);
  void FinishForward(uint64_t number, std::string answer);
  void CloseSockets(Forward& forward);

  void Watch(int fd, uint32_t events, Watched watched);
  void Unwatch(int fd);
  void CheckDeadlines();
  int NextTimeoutMs() const;

  const int control_fd_;
  int epoll_ = -1;
  Directory directory_;
  Cache cache_;
  std::unordered_map<std::string, Sandbox> sandboxes_;
  std::unordered_map<int, Watched> watched_;
  std::unordered_map<int, Connection> connections_;
  std::map<uint64_t, Forward> forwards_;
  uint64_t next_number_ = 1;
};

}  // namespace slipway::dns

#endif  // RUNTIME_AGENT_DNS_SERVER_H_
