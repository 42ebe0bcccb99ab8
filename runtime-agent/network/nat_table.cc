#include "runtime-agent/network/nat_table.h"

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

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Between two repairs, so that another program that keeps flushing costs little.
constexpr absl::Duration kHealPause = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<std::unique_ptr<NatTable>> NatTable::Open(const NatNames& names, bool heal) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  std::unique_ptr<NatTable> table(new NatTable(names, std::move(socket)));
  if (heal) RETURN_IF_ERROR(table->StartHealing());
  return table;
}

NatTable::~NatTable() {
  if (!watcher_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  watcher_.join();
}

absl::Status NatTable::Rebuild() {
  NetlinkBatch batch;
  BeginTransaction(batch);
  AddTable(batch, names_);
  DeleteTable(batch, names_);
  AddTable(batch, names_);
  AddMapsAndChains(batch, names_);
  AddEntries(batch, names_, entries_);
  EndTransaction(batch);
  RETURN_IF_ERROR(socket_.Run(batch, /*acknowledge_all=*/false));
  built_ = true;
  return absl::OkStatus();
}

absl::Status NatTable::Replace(const std::vector<NatEntry>& entries) {
  absl::MutexLock lock(&mutex_);
  entries_ = entries;
  return Rebuild();
}

absl::Status NatTable::Publish(const std::vector<NatEntry>& entries) {
  if (entries.empty()) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  size_t before = entries_.size();
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  absl::Status status;
  if (built_) {
    NetlinkBatch batch;
    BeginTransaction(batch);
    AddEntries(batch, names_, entries);
    EndTransaction(batch);
    status = socket_.Run(batch, /*acknowledge_all=*/false);
    if (status.ok()) return status;
  }
  // Also when somebody removed the table a moment ago.
  status = Rebuild();
  if (!status.ok()) entries_.resize(before);
  return status;
}

absl::Status NatTable::Unpublish(const std::vector<NatEntry>& entries) {
  absl::MutexLock lock(&mutex_);
  std::vector<NatEntry> present;
  for (const NatEntry& entry : entries) {
    auto it = std::find(entries_.begin(), entries_.end(), entry);
    if (it == entries_.end()) continue;
    present.push_back(entry);
    *it = entries_.back();
    entries_.pop_back();
  }
  if (present.empty() || !built_) return absl::OkStatus();
  NetlinkBatch batch;
  BeginTransaction(batch);
  DeleteEntries(batch, names_, present);
  EndTransaction(batch);
  if (socket_.Run(batch, /*acknowledge_all=*/false).ok()) return absl::OkStatus();
  return Rebuild();
}

absl::Status NatTable::StartHealing() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  events_ = UniqueFd(dup(socket.fd()));
  stop_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  if (!events_.ok() || !stop_.ok()) return ErrnoStatus(errno, "open the monitor of nftables");
  int group = NFNLGRP_NFTABLES;
  if (setsockopt(events_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) {
    return ErrnoStatus(errno, "watch nftables");
  }
  watcher_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

bool NatTable::IsDamage(const nlmsghdr* event) const {
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
      ours = names_.table == mnl_attr_get_str(attribute);
    }
  });
  return ours;
}

bool NatTable::ReadEvents(std::vector<char>& buffer) const {
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

void NatTable::Watch() {
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

absl::Status RemoveNatTable(const NatNames& names) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  NetlinkBatch batch;
  BeginTransaction(batch);
  AddTable(batch, names);
  DeleteTable(batch, names);
  EndTransaction(batch);
  return socket.Run(batch, /*acknowledge_all=*/false);
}

}  // namespace slipway::agent
