#include "runtime-agent/network/netlink.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr int kSendBufferBytes = 8 << 20;
constexpr int kReceiveBufferBytes = 1 << 20;
constexpr timeval kTimeout = {.tv_sec = 5, .tv_usec = 0};

// Of the whole process: an answer that comes too late is not taken for one to a later request.
std::atomic<uint32_t> next_sequence = 1;

}  // namespace

void NetlinkBatch::Seal() {
  if (!open_) return;
  auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data() + current_);
  used_ = current_ + NLMSG_ALIGN(header->nlmsg_len);
  open_ = false;
}

nlmsghdr* NetlinkBatch::Add(uint16_t type, uint16_t flags, std::string description) {
  Seal();
  current_ = used_;
  buffer_.resize(used_ + kMaxMessageBytes);
  nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data() + current_);
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = next_sequence++;
  descriptions_.emplace_back(header->nlmsg_seq, std::move(description));
  open_ = true;
  return header;
}

void* NetlinkBatch::AddExtra(size_t extra_bytes) {
  return mnl_nlmsg_put_extra_header(reinterpret_cast<nlmsghdr*>(buffer_.data() + current_),
                                    extra_bytes);
}

void NetlinkBatch::AcknowledgeCurrent() {
  reinterpret_cast<nlmsghdr*>(buffer_.data() + current_)->nlmsg_flags |= NLM_F_ACK;
}

void ForEachAttribute(const nlmsghdr* message, size_t extra_bytes,
                      const std::function<void(const nlattr*)>& see) {
  auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, extra_bytes));
  auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    see(attribute);
    attribute = mnl_attr_next(attribute);
  }
}

void ForEachNested(const nlattr* nest, const std::function<void(const nlattr*)>& see) {
  const auto* attribute = static_cast<const nlattr*>(mnl_attr_get_payload(nest));
  const char* end = reinterpret_cast<const char*>(attribute) + mnl_attr_get_payload_len(nest);
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    see(attribute);
    attribute = mnl_attr_next(attribute);
  }
}

absl::StatusOr<NetlinkSocket> NetlinkSocket::Open(int protocol) {
  NetlinkSocket result;
  result.fd_ = UniqueFd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  int fd = result.fd_.get();
  if (fd < 0) return ErrnoStatus(errno, "open netlink socket");
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBufferBytes, sizeof(int));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBufferBytes, sizeof(int));
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof(kTimeout));
  int on = 1;
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoStatus(errno, "bind netlink socket");
  }
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return ErrnoStatus(errno, "name of netlink socket");
  }
  result.port_id_ = address.nl_pid;
  return result;
}

absl::Status NetlinkSocket::Send(NetlinkBatch& batch) {
  batch.Seal();
  sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  for (;;) {
    ssize_t sent = sendto(fd_.get(), batch.buffer_.data(), batch.used_, 0,
                          reinterpret_cast<sockaddr*>(&kernel), sizeof(kernel));
    if (sent >= 0) return absl::OkStatus();
    if (errno != EINTR) return ErrnoStatus(errno, "send to netlink");
  }
}

absl::StatusOr<size_t> NetlinkSocket::Receive(std::vector<char>& buffer) {
  buffer.resize(65536);
  for (;;) {
    ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return absl::DeadlineExceededError("no answer from netlink in 5 s");
    return ErrnoStatus(errno, "receive from netlink");
  }
}

absl::Status NetlinkSocket::Run(NetlinkBatch& batch, bool acknowledge_all) {
  batch.Seal();
  size_t expected = 0;
  uint32_t last = 0;
  auto* header = reinterpret_cast<nlmsghdr*>(batch.buffer_.data());
  int left = static_cast<int>(batch.used_);
  for (; NLMSG_OK(header, static_cast<unsigned>(left)); header = NLMSG_NEXT(header, left)) {
    if (acknowledge_all) header->nlmsg_flags |= NLM_F_ACK;
    if (header->nlmsg_flags & NLM_F_ACK) {
      ++expected;
      last = header->nlmsg_seq;
    }
  }
  if (expected == 0) return absl::OkStatus();
  RETURN_IF_ERROR(Send(batch));
  absl::Status first;
  std::vector<char> buffer;
  for (bool done = false; !done;) {
    ASSIGN_OR_RETURN(size_t size, Receive(buffer));
    auto* answer = reinterpret_cast<nlmsghdr*>(buffer.data());
    int rest = static_cast<int>(size);
    for (; NLMSG_OK(answer, static_cast<unsigned>(rest)); answer = NLMSG_NEXT(answer, rest)) {
      if (answer->nlmsg_type != NLMSG_ERROR) continue;
      auto* error = static_cast<nlmsgerr*>(NLMSG_DATA(answer));
      if (answer->nlmsg_seq == last) done = true;
      if (error->error == 0 || !first.ok()) continue;
      std::string what = "netlink request";
      for (const auto& [sequence, description] : batch.descriptions_) {
        if (sequence == answer->nlmsg_seq) what = description;
      }
      first = ErrnoStatus(-error->error, what);
    }
  }
  return first;
}

absl::Status NetlinkSocket::Query(NetlinkBatch& batch,
                                  const std::function<void(const nlmsghdr*)>& receive) {
  batch.Seal();
  auto* request = reinterpret_cast<nlmsghdr*>(batch.buffer_.data());
  bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  RETURN_IF_ERROR(Send(batch));
  std::vector<char> buffer;
  for (;;) {
    ASSIGN_OR_RETURN(size_t size, Receive(buffer));
    auto* answer = reinterpret_cast<nlmsghdr*>(buffer.data());
    int rest = static_cast<int>(size);
    for (; NLMSG_OK(answer, static_cast<unsigned>(rest)); answer = NLMSG_NEXT(answer, rest)) {
      if (answer->nlmsg_seq != request->nlmsg_seq) continue;
      if (answer->nlmsg_type == NLMSG_DONE) return absl::OkStatus();
      if (answer->nlmsg_type == NLMSG_ERROR) {
        int error = static_cast<nlmsgerr*>(NLMSG_DATA(answer))->error;
        return error == 0 ? absl::OkStatus()
                          : ErrnoStatus(-error, batch.descriptions_.front().second);
      }
      receive(answer);
      if (!dump) return absl::OkStatus();
    }
  }
}

}  // namespace slipway::agent
