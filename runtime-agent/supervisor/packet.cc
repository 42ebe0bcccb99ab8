#include "runtime-agent/supervisor/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace slipway::agent {

void PacketFds::CloseAll() {
  for (int i = 0; i < count; ++i) {
    if (fd[i] >= 0) close(fd[i]);
  }
  count = 0;
}

ssize_t SendPacket(int socket, const void* data, size_t size, const int* fds, int fd_count,
                   int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds)];
  iovec vector = {const_cast<void*>(data), size};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (fd_count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    memset(control, 0, message.msg_controllen);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t ReceivePacket(int socket, void* data, size_t capacity, PacketFds* fds, int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPacketFds) + 64];
  iovec vector = {data, capacity};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  fds->count = 0;
  ssize_t received;
  bool reset = false;
  for (;;) {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
    if (received >= 0) break;
    // A peer that closed with packets of ours unread: told once, ahead of what it had sent before.
    bool again = errno == EINTR || (errno == ECONNRESET && !reset);
    reset |= errno == ECONNRESET;
    if (!again) break;
  }
  if (received < 0) return -1;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count && fds->count < kMaxPacketFds; ++i) {
      memcpy(&fds->fd[fds->count++], CMSG_DATA(header) + i * sizeof(int), sizeof(int));
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    fds->CloseAll();
    errno = EMSGSIZE;
    return -1;
  }
  return received;
}

}  // namespace slipway::agent
