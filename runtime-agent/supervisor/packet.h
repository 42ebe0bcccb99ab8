#ifndef RUNTIME_AGENT_SUPERVISOR_PACKET_H_
#define RUNTIME_AGENT_SUPERVISOR_PACKET_H_

#include <stddef.h>
#include <sys/types.h>

// Packets with descriptors over SOCK_SEQPACKET. No allocation.
namespace slipway::agent {

inline constexpr int kMaxPacketFds = 250;

struct PacketFds {
  int count = 0;
  int fd[kMaxPacketFds];
  void CloseAll();
};

// sendmsg(2) with MSG_NOSIGNAL | flags and EINTR retried; -1 with errno.
ssize_t SendPacket(int socket, const void* data, size_t size, const int* fds, int fd_count,
                   int flags);

// recvmsg(2) with EINTR retried. Received descriptors are close-on-exec and the caller's. 0 at end
// of file; -1 with errno, EMSGSIZE when the packet or its descriptors did not fit (nothing leaks).
ssize_t ReceivePacket(int socket, void* data, size_t capacity, PacketFds* fds, int flags);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_PACKET_H_
