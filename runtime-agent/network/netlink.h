#ifndef RUNTIME_AGENT_NETWORK_NETLINK_H_
#define RUNTIME_AGENT_NETWORK_NETLINK_H_

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/os/unique_fd.h"

namespace slipway::agent {

// Messages in one buffer, each with a description for errors. Attributes are added with libmnl to
// what Add returns, before the next Add. Not thread-safe.
class NetlinkBatch {
 public:
  // The room that one message may take, attributes included.
  static constexpr size_t kMaxMessageBytes = 16384;

  // A header of `type` and a zeroed family header of `extra_bytes` behind it.
  nlmsghdr* Add(uint16_t type, uint16_t flags, std::string description);
  void* AddExtra(size_t extra_bytes);
  // Sets NLM_F_ACK on the message added last.
  void AcknowledgeCurrent();

 private:
  friend class NetlinkSocket;
  void Seal();

  std::vector<char> buffer_;
  size_t used_ = 0;
  size_t current_ = 0;
  bool open_ = false;
  std::vector<std::pair<uint32_t, std::string>> descriptions_;  // by sequence number
};

// Calls `see` with each attribute behind the family header of `extra_bytes`.
void ForEachAttribute(const nlmsghdr* message, size_t extra_bytes,
                      const std::function<void(const nlattr*)>& see);

// The same with each attribute in `nest`.
void ForEachNested(const nlattr* nest, const std::function<void(const nlattr*)>& see);

// A netlink socket, bound in the network namespace of the thread that opened it. Use from one
// thread at a time. Calls end after 5 s at the latest (DeadlineExceeded).
class NetlinkSocket {
 public:
  static absl::StatusOr<NetlinkSocket> Open(int protocol);

  // Sends all with one call and waits until the last is acknowledged (NLM_F_ACK is added to it, and
  // with `acknowledge_all` to each). The first error, with its message's description.
  absl::Status Run(NetlinkBatch& batch, bool acknowledge_all = true);
  // A request with NLM_F_DUMP, or for one object: `receive` sees each answer.
  absl::Status Query(NetlinkBatch& batch, const std::function<void(const nlmsghdr*)>& receive);

  int fd() const { return fd_.get(); }
  uint32_t port_id() const { return port_id_; }

 private:
  absl::Status Send(NetlinkBatch& batch);
  absl::StatusOr<size_t> Receive(std::vector<char>& buffer);

  UniqueFd fd_;
  uint32_t port_id_ = 0;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NETLINK_H_
