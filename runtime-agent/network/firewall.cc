#include "runtime-agent/network/firewall.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/os/thread.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Between two repairs, so that another program that keeps flushing costs little.
constexpr absl::Duration kHealPause = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<std::unique_ptr<Firewall>> Firewall::Open(const std::string& table, bool heal) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  NetlinkBatch keeper;
  BeginTransaction(keeper);
  AddKeeperTable(keeper, absl::StrCat(table, "-keeper"));
  EndTransaction(keeper);
  // Best effort: an older kernel has no tables of sockets.
  socket.Run(keeper, /*acknowledge_all=*/false).IgnoreError();
  std::unique_ptr<Firewall> firewall(new Firewall(table, std::move(socket)));
  if (heal) RETURN_IF_ERROR(firewall->StartHealing());
  return firewall;
}

Firewall::~Firewall() {
  if (!watcher_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  watcher_.join();
}

std::vector<FirewallElement> Firewall::Offered(std::vector<FirewallElement> elements) const {
  if (!bridge_family_) {
    std::erase_if(elements, [](const FirewallElement& one) { return IsBridgeSet(one.set); });
  }
  return elements;
}

absl::Status Firewall::Rebuild() {
  std::vector<FirewallElement> all;
  for (const auto& [key, element] : elements_) all.push_back(element);
  for (;;) {
    NetlinkBatch batch;
    BeginTransaction(batch);
    DropTables(batch, table_, bridge_family_);
    AddTables(batch, table_, bridge_family_);
    ChangeElements(batch, table_, Offered(all), /*add=*/true);
    EndTransaction(batch);
    const absl::Status status = socket_.Run(batch, /*acknowledge_all=*/false);
    const bool lacking = absl::StrContains(status.message(), "EOPNOTSUPP") ||
                         absl::StrContains(status.message(), "EAFNOSUPPORT");
    if (lacking && std::exchange(bridge_family_, false)) continue;
    if (status.ok()) built_ = true;
    return status;
  }
}

absl::Status Firewall::Change(const std::vector<FirewallElement>& elements, bool add) {
  if (built_) {
    NetlinkBatch batch;
    BeginTransaction(batch);
    ChangeElements(batch, table_, Offered(elements), add);
    EndTransaction(batch);
    if (socket_.Run(batch, /*acknowledge_all=*/false).ok()) return absl::OkStatus();
  }
  // Also when somebody removed the tables a moment ago.
  return Rebuild();
}

absl::Status Firewall::Replace(const std::vector<FirewallElement>& elements) {
  absl::MutexLock lock(&mutex_);
  elements_.clear();
  for (const FirewallElement& one : elements) elements_[Key(one.set, one.key)] = one;
  return Rebuild();
}

absl::Status Firewall::Add(const std::vector<FirewallElement>& elements) {
  if (elements.empty()) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  std::vector<FirewallElement> added;
  for (const FirewallElement& one : elements) {
    if (elements_.try_emplace(Key(one.set, one.key), one).second) added.push_back(one);
  }
  if (added.empty()) return absl::OkStatus();
  const absl::Status status = Change(added, /*add=*/true);
  if (!status.ok()) {
    for (const FirewallElement& one : added) elements_.erase(Key(one.set, one.key));
  }
  return status;
}

absl::Status Firewall::Remove(const std::vector<FirewallElement>& elements) {
  absl::MutexLock lock(&mutex_);
  std::vector<FirewallElement> removed;
  for (const FirewallElement& one : elements) {
    if (elements_.erase(Key(one.set, one.key)) > 0) removed.push_back(one);
  }
  if (removed.empty() || !built_) return absl::OkStatus();
  return Change(removed, /*add=*/false);
}

absl::Status Firewall::StartHealing() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  events_ = UniqueFd(dup(socket.fd()));
  stop_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  if (!events_.ok() || !stop_.ok()) return ErrnoStatus(errno, "open the monitor of nftables");
  int group = NFNLGRP_NFTABLES;
  if (setsockopt(events_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
    return ErrnoStatus(errno, "watch nftables");
  }
  watcher_ = std::thread([this] {
    NameThread("firewall");
    Watch();
  });
  return absl::OkStatus();
}

bool Firewall::IsDamage(const nlmsghdr* event) const {
  if (event->nlmsg_pid == port_id_ || NFNL_SUBSYS_ID(event->nlmsg_type) != NFNL_SUBSYS_NFTABLES) {
    return false;
  }
  uint16_t type = NFNL_MSG_TYPE(event->nlmsg_type);
  if (type != NFT_MSG_DELTABLE && type != NFT_MSG_DELCHAIN && type != NFT_MSG_DELRULE &&
      type != NFT_MSG_DELSET && type != NFT_MSG_DELSETELEM) {
    return false;
  }
  bool ours = false;
  ForEachAttribute(event, sizeof(nfgenmsg), [&](const nlattr* attribute) {
    // The table's name is attribute 1 in each of these messages.
    if (mnl_attr_get_type(attribute) == NFTA_TABLE_NAME) {
      ours = table_ == mnl_attr_get_str(attribute);
    }
  });
  return ours;
}

bool Firewall::ReadEvents(std::vector<char>& buffer) const {
  ssize_t size = recv(events_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  // Notifications were lost: nobody knows what happened.
  if (size < 0) return errno == ENOBUFS;
  bool damaged = false;
  auto* event = reinterpret_cast<nlmsghdr*>(buffer.data());
  int rest = static_cast<int>(size);
  while (NLMSG_OK(event, static_cast<unsigned>(rest))) {
    damaged = damaged || IsDamage(event);
    event = NLMSG_NEXT(event, rest);
  }
  return damaged;
}

void Firewall::Watch() {
  std::vector<char> buffer(65536);
  absl::Time heal_at = absl::InfiniteFuture();
  for (;;) {
    absl::Duration wait = heal_at - absl::Now();
    int timeout_ms = heal_at == absl::InfiniteFuture()
                         ? -1
                         : static_cast<int>(std::max<int64_t>(0, absl::ToInt64Milliseconds(wait)));
    pollfd fds[] = {{.fd = stop_.get(), .events = POLLIN}, {.fd = events_.get(), .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0 && ReadEvents(buffer)) {
      heal_at = std::min(heal_at, absl::Now() + kHealPause);
    }
    if (absl::Now() < heal_at) continue;
    absl::MutexLock lock(&mutex_);
    bool healed = !built_ || Rebuild().ok();
    if (healed && built_) ++heal_count_;
    heal_at = healed ? absl::InfiniteFuture() : absl::Now() + kHealPause;
  }
}

absl::Status RemoveFirewall(const std::string& table) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  absl::Status status;
  for (const bool bridge_family : {true, false}) {
    NetlinkBatch batch;
    BeginTransaction(batch);
    DropTables(batch, table, bridge_family);
    EndTransaction(batch);
    status = socket.Run(batch, /*acknowledge_all=*/false);
    if (status.ok()) break;
  }
  return status;
}

}  // namespace slipway::agent
