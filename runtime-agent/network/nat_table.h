#ifndef RUNTIME_AGENT_NETWORK_NAT_TABLE_H_
#define RUNTIME_AGENT_NETWORK_NAT_TABLE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/network/nat_rules.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {

// Our nftables table and what is published in it; each change is one transaction. With `heal`, a
// thread listens to the kernel's notifications and puts the table back when somebody else deletes
// any part of it. The table stays when the object is destroyed. Thread-safe; changes wait for each
// other.
class NatTable {
 public:
  static absl::StatusOr<std::unique_ptr<NatTable>> Open(const NatNames& names, bool heal);
  ~NatTable();

  // The table exists afterwards with exactly these entries; connections that exist go on.
  absl::Status Replace(const std::vector<NatEntry>& entries);
  // Either all or none.
  absl::Status Publish(const std::vector<NatEntry>& entries);
  // OK for what is not there.
  absl::Status Unpublish(const std::vector<NatEntry>& entries);
  // How often the table was put back.
  uint64_t heal_count() const { return heal_count_; }

 private:
  NatTable(const NatNames& names, NetlinkSocket socket)
      : names_(names), port_id_(socket.port_id()), socket_(std::move(socket)) {}

  absl::Status Rebuild() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StartHealing();
  void Watch();
  // Whether what is there to read tells of damage.
  bool ReadEvents(std::vector<char>& buffer) const;
  bool IsDamage(const nlmsghdr* event) const;

  const NatNames names_;
  const uint32_t port_id_;
  absl::Mutex mutex_;  // one transaction at a time: that is its purpose
  NetlinkSocket socket_ ABSL_GUARDED_BY(mutex_);
  std::vector<NatEntry> entries_ ABSL_GUARDED_BY(mutex_);
  bool built_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> heal_count_ = 0;
  UniqueFd stop_;  // eventfd
  UniqueFd events_;
  std::thread watcher_;
};

absl::Status RemoveNatTable(const NatNames& names);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_NAT_TABLE_H_
