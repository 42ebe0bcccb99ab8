#ifndef RUNTIME_AGENT_NETWORK_FIREWALL_H_
#define RUNTIME_AGENT_NETWORK_FIREWALL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/network/firewall_rules.h"
#include "runtime-agent/network/netlink.h"

namespace slipway::agent {

// Our nftables tables and what is in them; each change is one transaction. With `heal`, a thread
// listens to the kernel's notifications and puts the tables back when somebody else deletes any
// part of them; until then connections that exist are still translated (AddKeeperTable). The tables
// stay when the object is destroyed. Thread-safe; changes wait for each
// other.
class Firewall {
 public:
  static absl::StatusOr<std::unique_ptr<Firewall>> Open(const std::string& table, bool heal);
  ~Firewall();

  // The tables exist afterwards with exactly these elements; connections that exist go on.
  absl::Status Replace(const std::vector<FirewallElement>& elements);
  // Either all or none.
  absl::Status Add(const std::vector<FirewallElement>& elements);
  // OK for what is not there.
  absl::Status Remove(const std::vector<FirewallElement>& elements);
  // How often the tables were put back.
  uint64_t heal_count() const { return heal_count_; }

 private:
  using Key = std::pair<FirewallSet, std::string>;

  Firewall(const std::string& table, NetlinkSocket socket)
      : table_(table), port_id_(socket.port_id()), socket_(std::move(socket)) {}

  absl::Status Rebuild() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Change(const std::vector<FirewallElement>& elements, bool add)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Without those of the bridge family where the kernel lacks it.
  std::vector<FirewallElement> Offered(std::vector<FirewallElement> elements) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StartHealing();
  void Watch();
  // Whether what is there to read tells of damage.
  bool ReadEvents(std::vector<char>& buffer) const;
  bool IsDamage(const nlmsghdr* event) const;

  const std::string table_;
  const uint32_t port_id_;
  absl::Mutex mutex_;  // one transaction at a time: that is its purpose
  NetlinkSocket socket_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Key, FirewallElement> elements_ ABSL_GUARDED_BY(mutex_);
  bool built_ ABSL_GUARDED_BY(mutex_) = false;
  bool bridge_family_ ABSL_GUARDED_BY(mutex_) = true;  // CONFIG_NF_TABLES_BRIDGE
  std::atomic<uint64_t> heal_count_ = 0;
  UniqueFd stop_;  // eventfd
  UniqueFd events_;
  std::thread watcher_;
};

absl::Status RemoveFirewall(const std::string& table);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_NETWORK_FIREWALL_H_
