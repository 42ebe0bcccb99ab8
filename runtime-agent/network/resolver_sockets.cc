#include "runtime-agent/network/resolver_sockets.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"
#include "runtime-agent/network/firewall_rules.h"
#include "runtime-agent/network/netlink.h"
#include "runtime-agent/network/nft_rule.h"

namespace slipway::agent {
namespace {

constexpr char kTable[] = "slipway-dns";
constexpr char kChain[] = "output";
constexpr uint32_t kAddress = 0x7f00000b;  // 127.0.0.11
constexpr uint16_t kPort = 53;
constexpr int kBacklog = 64;

absl::StatusOr<uint16_t> Bind(int fd) {
  sockaddr_in local = {.sin_family = AF_INET};
  local.sin_addr.s_addr = htonl(kAddress);
  socklen_t length = sizeof(local);
  if (bind(fd, reinterpret_cast<sockaddr*>(&local), sizeof(local)) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) {
    return ErrnoStatus(errno, "bind the resolver's socket to 127.0.0.11");
  }
  return ntohs(local.sin_port);
}

void AddRedirection(NetlinkBatch& batch, uint8_t protocol, uint16_t port) {
  NftRule(NFPROTO_IPV4, kTable, kChain)
      .Payload(NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NFT_REG_1)
      .Equals(htonl(kAddress))
      .Meta(NFT_META_L4PROTO, NFT_REG_1)
      .Equals(protocol)
      .Payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG_1)
      .Equals(htons(kPort))
      .Dnat(kAddress, port)
      .AddTo(batch);
}

absl::Status Redirect(uint16_t udp_port, uint16_t tcp_port) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_NETFILTER));
  NetlinkBatch batch;
  BeginTransaction(batch);
  DropNftTable(batch, NFPROTO_IPV4, kTable);
  AddNftTable(batch, NFPROTO_IPV4, kTable);
  AddNftChain(batch, NFPROTO_IPV4, kTable, kChain, "nat", NF_INET_LOCAL_OUT, -100);
  AddRedirection(batch, IPPROTO_UDP, udp_port);
  AddRedirection(batch, IPPROTO_TCP, tcp_port);
  EndTransaction(batch);
  return socket.Run(batch, /*acknowledge_all=*/false);
}

template <typename T>
T Option(int fd, int name) {
  T value = {};
  socklen_t length = sizeof(value);
  getsockopt(fd, SOL_SOCKET, name, &value, &length);
  return value;
}

// The descriptor where it is one of a resolver; puts it where it belongs.
void Sort(UniqueFd fd, std::map<uint64_t, ResolverSockets>& found) {
  sockaddr_in local = {};
  socklen_t length = sizeof(local);
  if (Option<int>(fd.get(), SO_DOMAIN) != AF_INET ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &length) != 0 ||
      local.sin_addr.s_addr != htonl(kAddress)) {
    return;
  }
  const UniqueFd home(ioctl(fd.get(), SIOCGSKNS));
  struct stat info = {};
  if (!home.ok() || fstat(home.get(), &info) != 0) return;
  ResolverSockets& sockets = found[info.st_ino];
  if (Option<int>(fd.get(), SO_TYPE) == SOCK_DGRAM) {
    sockets.udp = std::move(fd);
  } else if (Option<int>(fd.get(), SO_ACCEPTCONN) != 0) {
    sockets.tcp = std::move(fd);
  }
}

}  // namespace

absl::StatusOr<ResolverSockets> OpenResolverSockets() {
  ResolverSockets sockets;
  sockets.udp = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockets.tcp = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!sockets.udp.ok() || !sockets.tcp.ok()) return ErrnoStatus(errno, "open a resolver's socket");
  ASSIGN_OR_RETURN(const uint16_t udp_port, Bind(sockets.udp.get()));
  ASSIGN_OR_RETURN(const uint16_t tcp_port, Bind(sockets.tcp.get()));
  if (listen(sockets.tcp.get(), kBacklog) != 0) return ErrnoStatus(errno, "listen on 127.0.0.11");
  RETURN_IF_ERROR(Redirect(udp_port, tcp_port));
  return sockets;
}

std::map<uint64_t, ResolverSockets> TakeOverResolverSockets(int pid) {
  std::map<uint64_t, ResolverSockets> found;
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  const std::string path = absl::StrCat("/proc/", pid, "/fd");
  const auto close = [](DIR* open) { closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> directory(opendir(path.c_str()), close);
  if (!pidfd.ok() || directory == nullptr) return found;
  while (const dirent* entry = readdir(directory.get())) {
    int number = 0;
    if (!absl::SimpleAtoi(entry->d_name, &number)) continue;
    UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), number, 0)));
    if (fd.ok()) Sort(std::move(fd), found);
  }
  std::erase_if(found,
                [](const auto& one) { return !one.second.udp.ok() || !one.second.tcp.ok(); });
  return found;
}

}  // namespace slipway::agent
