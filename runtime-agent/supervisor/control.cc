#include "runtime-agent/supervisor/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runtime-agent/supervisor/packet.h"
#include "runtime-agent/supervisor/wire.h"

namespace slipway::agent {
namespace {

// Sends one request and returns the supervisor's errno, or -1 when nobody listens.
int Call(const char* run_dir, WireOp op, int fd) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const int length =
      snprintf(address.sun_path, sizeof(address.sun_path), "%s/supervisor.sock", run_dir);
  if (length < 0 || static_cast<size_t>(length) >= sizeof(address.sun_path)) return ENAMETOOLONG;
  const int socket_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return errno;
  if (connect(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    close(socket_fd);
    return error == ENOENT || error == ECONNREFUSED ? -1 : error;
  }
  WireRequest request = {};
  request.magic = kWireMagic;
  request.version = kWireVersion;
  request.op = static_cast<uint16_t>(op);
  request.request_id = 1;
  static WireReply reply;
  PacketFds fds;
  int result = 0;
  if (SendPacket(socket_fd, &request, sizeof(request), &fd, fd < 0 ? 0 : 1, 0) < 0) {
    result = errno;
  } else {
    const ssize_t size = ReceivePacket(socket_fd, &reply, sizeof(reply), &fds, 0);
    fds.CloseAll();
    result =
        size == static_cast<ssize_t>(sizeof(reply)) ? reply.error : (size < 0 ? errno : EPROTO);
  }
  close(socket_fd);
  return result;
}

// Waits until the keeper, which holds the lock as long as it lives, has let it go.
bool WaitUntilGone(const char* run_dir) {
  char path[300];
  snprintf(path, sizeof(path), "%s/supervisor.lock", run_dir);
  const int lock = open(path, O_RDWR | O_CLOEXEC);
  if (lock < 0) return errno == ENOENT;
  const struct timespec pause = {0, 5'000'000};
  bool free = false;
  for (int i = 0; i < 2000 && !free; ++i) {
    free = flock(lock, LOCK_EX | LOCK_NB) == 0;
    if (!free) nanosleep(&pause, nullptr);
  }
  close(lock);
  return free;
}

}  // namespace

int ShutdownCommand(const char* run_dir) {
  const int error = Call(run_dir, WireOp::kShutdown, -1);
  if (error == -1) return 0;
  if (error == EBUSY) {
    dprintf(2, "slipway-supervisor: containers still run in %s\n", run_dir);
    return 1;
  }
  if (error != 0) {
    dprintf(2, "slipway-supervisor: shut down %s: %s\n", run_dir, strerror(error));
    return 1;
  }
  if (!WaitUntilGone(run_dir)) {
    dprintf(2, "slipway-supervisor: the keeper in %s does not end\n", run_dir);
    return 1;
  }
  return 0;
}

int UpgradeCommand(const char* run_dir) {
  const int binary = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (binary < 0) {
    dprintf(2, "slipway-supervisor: open /proc/self/exe: %s\n", strerror(errno));
    return 1;
  }
  const int error = Call(run_dir, WireOp::kUpgrade, binary);
  close(binary);
  if (error == -1) return 0;
  if (error != 0) {
    dprintf(2, "slipway-supervisor: upgrade %s: %s\n", run_dir, strerror(error));
    return 1;
  }
  return 0;
}

}  // namespace slipway::agent
