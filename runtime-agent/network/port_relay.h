#ifndef RUNTIME_AGENT_NETWORK_PORT_RELAY_H_
#define RUNTIME_AGENT_NETWORK_PORT_RELAY_H_

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/network/network_driver.h"

namespace slipway::agent {

// Carries what comes to published ports by IPv6 to containers' IPv4 addresses: for those that have
// no IPv6, which no packet can be translated for, and for `::1`, from where Linux routes no
// translated packet. TCP and UDP; byte for byte, nothing is parsed. One thread for all ports, which
// starts with the first. The peer that a container sees is the host. Thread-safe.
class PortRelay {
 public:
  // Of all ports together; more wait in their sockets.
  static constexpr size_t kMaxConnections = 2048;
  // UDP clients of one port, and when one that is silent is forgotten.
  static constexpr size_t kMaxClients = 1024;
  static constexpr absl::Duration kClientIdle = absl::Seconds(90);

  PortRelay() = default;
  ~PortRelay();
  PortRelay(const PortRelay&) = delete;
  PortRelay& operator=(const PortRelay&) = delete;

  // Serves the socket that has `port`, a TCP one that listens or a UDP one, from now on. `address`:
  // the container's, in host byte order.
  absl::Status Add(const PublishedPort& port, UniqueFd socket, uint32_t address);
  // The socket is closed and its connections are when this returns.
  void Remove(const PublishedPort& port);

 private:
  using Id = uint64_t;  // of a socket in epoll; never used again

  struct Port {
    std::string key;
    UniqueFd socket;
    bool is_udp = false;
    bool paused = false;
    sockaddr_in target = {};
    std::set<Id> links;                            // by their first sides
    absl::flat_hash_map<std::string, Id> clients;  // of UDP, by address and port
  };
  struct Side {
    UniqueFd fd;
    Id id = 0;
    uint32_t interest = 0;
    std::string unsent;     // what the other one sent
    bool ended = false;     // nothing more comes from it
    bool finished = false;  // and was told that nothing more comes
  };
  // A TCP connection: the client and the container. A UDP client has a container's side alone.
  struct Link {
    Id port = 0;
    bool connected = false;
    Side client, target;
    // Of a UDP client.
    sockaddr_in6 peer = {};
    in6_pktinfo local = {};
    absl::Time used;
  };

  absl::Status Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  absl::Duration Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Handle(Id id, uint32_t events) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Accept(Id id, Port& port) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pause(Id id, Port& port) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Pump(Id id, Link& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False when the connection is broken.
  bool Carry(Side& from, Side& to, bool can_receive) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Watch(Side& side, uint32_t interest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeDatagrams(Id id, Port& port) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Null where there can be no more.
  Link* ClientOf(Id id, Port& port, const sockaddr_in6& peer, const in6_pktinfo& local)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReturnDatagrams(Link& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(Id link_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Held for calls that do not wait, by the thread too.
  absl::Mutex mutex_;
  UniqueFd epoll_, stop_;
  Id next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  absl::flat_hash_map<std::string, Id> keys_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Id, std::unique_ptr<Port>> ports_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Id, std::unique_ptr<Link>> links_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Id, Id> sides_ ABSL_GUARDED_BY(mutex_);           // to their links
  absl::Time resume_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();  // ports that pause
  absl::Time sweep_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();   // UDP clients
  std::unique_ptr<char[]> buffer_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_PORT_RELAY_H_
