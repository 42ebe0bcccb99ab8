#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime-agent/supervisor/supervisor.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr int kSendBufferBytes = 1 << 20;
constexpr int kCheckTimeoutMs = 2000;
constexpr int kSpuriousExit = 127;

bool IdIsValid(const char* id) {
  size_t length = strnlen(id, kIdCapacity);
  return length > 0 && length < kIdCapacity;
}

// Runs the new binary once: it must say that it can take over from this version.
bool CanTakeOver(int binary) {
  pid_t pid = fork();
  if (pid == 0) {
    char name[] = "slipway-supervisor";
    char option[32];
    snprintf(option, sizeof(option), "--check-handoff=%u", kHandoffVersion);
    char* const argv[] = {name, option, nullptr};
    char* const envp[] = {nullptr};
    execveat(binary, "", argv, envp, AT_EMPTY_PATH);
    _exit(kSpuriousExit);
  }
  if (pid < 0) return false;
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd polled = {pidfd, POLLIN, 0};
  if (pidfd < 0 || poll(&polled, 1, kCheckTimeoutMs) != 1) kill(pid, SIGKILL);
  if (pidfd >= 0) close(pidfd);
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void Supervisor::Accept() {
  int fd = accept4(table_->Get(kListenHandle), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    // Out of descriptors: the waiting connection would wake us at once again.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
      epoll_ctl(epoll_, EPOLL_CTL_DEL, table_->Get(kListenHandle), nullptr);
      listen_paused_ = retry_ = true;
    }
    return;
  }
  ucred peer = {};
  socklen_t length = sizeof(peer);
  uint32_t index = 0;
  while (index < kMaxConnections && connections_[index].used) ++index;
  bool allowed = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
                 (peer.uid == 0 || peer.uid == geteuid());
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(kSendBufferBytes));
  if (!allowed || index == kMaxConnections ||
      !Watch(fd, EPOLLIN, MakeTag(EventTag::kConnection, index))) {
    close(fd);
    return;
  }
  connections_[index] = {true, false, ++next_serial_, fd, -1};
}

void Supervisor::CloseConnection(uint32_t index) {
  Connection& connection = connections_[index];
  epoll_ctl(epoll_, EPOLL_CTL_DEL, connection.fd, nullptr);
  close(connection.fd);
  if (connection.subscribed) close(connection.event);
  connection = Connection();
}

// A client that does not read its replies loses its connection, and learns the rest by LIST.
void Supervisor::SendReply(uint32_t index, WireReply* reply, const void* extra, size_t extra_bytes,
                           const int* fds, int fd_count) {
  static char packet[kMaxReplyBytes];
  if (reply->request_id == 0 && reply->op != static_cast<uint16_t>(WireOp::kExitEvent)) return;
  reply->magic = kWireMagic;
  reply->version = kWireVersion;
  memcpy(packet, reply, sizeof(*reply));
  if (extra_bytes > 0) memcpy(packet + sizeof(*reply), extra, extra_bytes);
  if (SendPacket(connections_[index].fd, packet, sizeof(*reply) + extra_bytes, fds, fd_count,
                 MSG_DONTWAIT) < 0) {
    CloseConnection(index);
  }
}

void Supervisor::FillEntry(uint32_t slot, WireEntry* entry) const {
  const StatusSlot& from = page_->slot[slot];
  memcpy(entry->id, from.id, sizeof(entry->id));
  entry->kind = from.kind;
  entry->state = from.state;
  entry->flags = from.flags;
  entry->pid = from.pid;
  entry->wait_status = from.wait_status;
  entry->slot = slot;
  entry->incarnation = from.incarnation;
  entry->start_time_ns = from.start_time_ns;
  entry->exit_time_ns = from.exit_time_ns;
  entry->spool_committed = from.spool_committed;
  entry->spool_acked = from.spool_acked;
}

void Supervisor::SendEntryReply(uint32_t index, WireReply* reply, uint32_t slot, uint64_t fd_mask) {
  int fds[kFdRoles];
  int count = 0;
  for (uint32_t role = 0; role < kFdRoles; ++role) {
    int fd = FdOf(slot, static_cast<FdRole>(role));
    if ((fd_mask & kPublicFdMask & (1u << role)) == 0 || fd < 0) continue;
    reply->fd_mask |= 1u << role;
    fds[count++] = fd;
  }
  FillEntry(slot, &reply->entry);
  SendReply(index, reply, nullptr, 0, fds, count);
}

void Supervisor::ReplyToWaiter(uint32_t slot, int error, const SpawnFailureReport* failure) {
  Runtime& runtime = runtime_[slot];
  uint32_t index = runtime.connection_plus_one - 1;
  bool there = runtime.connection_plus_one != 0 && connections_[index].used &&
               connections_[index].serial == runtime.serial;
  runtime.connection_plus_one = 0;
  if (!there) return;
  WireReply reply = {};
  reply.op = static_cast<uint16_t>(runtime.op);
  reply.request_id = runtime.request_id;
  reply.error = error;
  if (failure != nullptr) {
    reply.step = failure->step;
    memcpy(reply.detail, failure->detail, sizeof(reply.detail));
    reply.detail[sizeof(reply.detail) - 1] = '\0';
  }
  SendEntryReply(index, &reply, slot, error == 0 ? kSpawnFdMask : 0);
}

void Supervisor::PublishExit(uint32_t slot) {
  WireReply event = {};
  event.op = static_cast<uint16_t>(WireOp::kExitEvent);
  FillEntry(slot, &event.entry);
  for (uint32_t i = 0; i < kMaxConnections; ++i) {
    if (connections_[i].used && connections_[i].subscribed) {
      SendReply(i, &event, nullptr, 0, nullptr, 0);
    }
  }
}

int Supervisor::FindSlot(const char* id) const {
  for (uint32_t slot = 0; slot < page_->used_entries; ++slot) {
    if (StateOf(slot) != EntryState::kFree && strcmp(page_->slot[slot].id, id) == 0) {
      return static_cast<int>(slot);
    }
  }
  return -1;
}

int Supervisor::FindStored(const char* name) const {
  for (uint32_t i = 0; i < kMaxStoredFds; ++i) {
    if (strcmp(page_->stored[i].name, name) == 0) return static_cast<int>(i);
  }
  return -1;
}

void Supervisor::Hello(uint32_t index, const WireRequest& request) {
  Connection& connection = connections_[index];
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  reply.supervisor_version = kHandoffVersion;
  reply.arg0 = static_cast<uint64_t>(getpid());
  reply.arg1 = static_cast<uint64_t>(page_->keeper_pid.load());
  char path[40];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", table_->Get(kStatusHandle));
  int status = open(path, O_RDONLY | O_CLOEXEC);
  if ((request.flags & kHelloSubscribe) != 0 && !connection.subscribed) {
    connection.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    connection.subscribed = connection.event >= 0;
  }
  int fds[2] = {status, connection.event};
  reply.error = status < 0 ? EMFILE : 0;
  SendReply(index, &reply, nullptr, 0, fds, status < 0 ? 0 : connection.subscribed ? 2 : 1);
  if (status >= 0) close(status);
}

void Supervisor::List(uint32_t index, const WireRequest& request) {
  static WireEntry entries[kListBatch];
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  uint64_t slot = request.arg0;
  for (; slot < page_->used_entries && reply.count < kListBatch; ++slot) {
    if (StateOf(static_cast<uint32_t>(slot)) == EntryState::kFree) continue;
    entries[reply.count] = {};
    FillEntry(static_cast<uint32_t>(slot), &entries[reply.count++]);
  }
  reply.arg0 = slot < page_->used_entries ? slot : 0;
  SendReply(index, &reply, entries, reply.count * sizeof(WireEntry), nullptr, 0);
}

void Supervisor::StoreList(uint32_t index, const WireRequest& request) {
  static StoredFdName names[kListBatch];
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  uint64_t i = request.arg0;
  for (; i < kMaxStoredFds && reply.count < kListBatch; ++i) {
    if (page_->stored[i].name[0] != '\0') names[reply.count++] = page_->stored[i];
  }
  reply.arg0 = i < kMaxStoredFds ? i : 0;
  SendReply(index, &reply, names, reply.count * sizeof(StoredFdName), nullptr, 0);
}

int Supervisor::Start(uint32_t index, uint32_t slot, const WireRequest& request) {
  if ((page_->slot[slot].flags & kEntryHold) == 0) return EINVAL;
  switch (StateOf(slot)) {
    case EntryState::kCreated:
      AwaitExec(slot, index, request);
      page_->slot[slot].flags.fetch_or(kEntryReleased);
      SendGo(slot);
      return -1;
    case EntryState::kRunning:
    case EntryState::kExited: {
      WireReply reply = {};
      reply.op = request.op;
      reply.request_id = request.request_id;
      SendEntryReply(index, &reply, slot, kSpawnFdMask);
      return -1;
    }
    default:
      return EBUSY;
  }
}

// Operations on an entry: 0 or errno for `reply`, -1 when the reply was sent or comes later.
int Supervisor::HandleEntry(uint32_t index, const WireRequest& request, PacketFds* fds,
                            WireReply* reply) {
  int found = FindSlot(request.id);
  if (found < 0) return ENOENT;
  auto slot = static_cast<uint32_t>(found);
  StatusSlot& entry = page_->slot[slot];
  switch (static_cast<WireOp>(request.op)) {
    case WireOp::kStart:
      return Start(index, slot, request);
    case WireOp::kGetFds:
      SendEntryReply(index, reply, slot, request.arg0);
      return -1;
    case WireOp::kCloseStdin:
      entry.flags.fetch_and(~static_cast<uint32_t>(kEntryStdinOpen));
      Drop(slot, RoleBit(FdRole::kStdin));
      return 0;
    case WireOp::kForget:
      if (StateOf(slot) != EntryState::kExited) return EBUSY;
      Free(slot);
      return 0;
    case WireOp::kAck:
      if (request.arg0 > entry.spool_committed) return ERANGE;
      if (request.arg0 > entry.spool_acked) entry.spool_acked = request.arg0;
      // A stream that rests is to go on resting.
      if ((entry.flags & kEntrySpoolBlocked) != 0) ResumeStreams(slot);
      return 0;
    case WireOp::kRestore:
      return Restore(slot, request.arg0, fds);
    default:
      return EINVAL;
  }
}

int Supervisor::HandleStore(const WireRequest& request, PacketFds* fds, WireReply* reply) {
  int found = FindStored(request.id);
  auto op = static_cast<WireOp>(request.op);
  if (op != WireOp::kStorePut && found < 0) return ENOENT;
  if (op == WireOp::kStoreGet) {
    reply->arg0 = static_cast<uint64_t>(found);
    return 0;
  }
  if (op == WireOp::kStorePut && fds->count != 1) return EINVAL;
  if (op == WireOp::kStorePut && found < 0) found = FindStored("");
  if (found < 0) return ENOSPC;
  Handle handle = kStoreHandles + static_cast<Handle>(found);
  KeeperMessage message = {
      op == WireOp::kStorePut ? KeeperOp::kHold : KeeperOp::kDrop, 1, {handle}};
  char* name = page_->stored[found].name;
  if (op == WireOp::kStoreDrop) {
    name[0] = '\0';
    table_->Close(handle);
    TellKeeper(message, nullptr, 0);
    return 0;
  }
  if (!TellKeeper(message, fds->fd, 1)) return EAGAIN;
  table_->Put(handle, fds->fd[0]);
  fds->fd[0] = -1;
  memcpy(name + 1, request.id + 1, kIdCapacity - 1);
  name[0] = request.id[0];
  return 0;
}

void Supervisor::Stats(WireReply* reply) {
  for (uint32_t slot = 0; slot < page_->used_entries; ++slot) {
    if (StateOf(slot) == EntryState::kFree) continue;
    ++reply->arg0;
    if (StateOf(slot) != EntryState::kExited) ++reply->arg1;
    for (uint32_t role = 0; role < kFdRoles; ++role) {
      if (FdOf(slot, static_cast<FdRole>(role)) >= 0) ++reply->arg3;
    }
  }
  for (uint32_t i = 0; i < kMaxStoredFds; ++i) {
    if (page_->stored[i].name[0] != '\0') ++reply->arg2;
  }
  reply->arg3 += reply->arg2;
  reply->entry.pid = getpid();
  reply->entry.slot = static_cast<uint32_t>(page_->keeper_pid.load());
  reply->entry.incarnation = page_->supervisor_starts.load();
}

int Supervisor::Upgrade(uint32_t index, const WireRequest& request, int binary) {
  int copy = SealedCopy(binary);
  if (copy < 0) return EIO;
  if (!CanTakeOver(copy)) {
    close(copy);
    return ENOEXEC;
  }
  KeeperMessage hold = {KeeperOp::kHold, 1, {kBinaryHandle}};
  if (!TellKeeper(hold, &copy, 1)) {
    close(copy);
    return EAGAIN;
  }
  table_->Put(kBinaryHandle, copy);
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  SendReply(index, &reply, nullptr, 0, nullptr, 0);
  KeeperMessage upgrade = {KeeperOp::kUpgrade, 0, {}};
  TellKeeper(upgrade, nullptr, 0);
  ExecInPlace(*state_);
  dprintf(2, "supervisor: upgrade: %s\n", strerror(errno));
  return -1;
}

int Supervisor::Shutdown(uint32_t index, const WireRequest& request) {
  auto lives = [this](uint32_t slot) {
    EntryState state = StateOf(slot);
    return state != EntryState::kFree && state != EntryState::kExited;
  };
  for (uint32_t slot = 0; slot < page_->used_entries; ++slot) {
    if (lives(slot) && page_->slot[slot].kind == static_cast<uint32_t>(EntryKind::kContainer)) {
      return EBUSY;
    }
  }
  // What serves containers (the name server, an archive) ends with the last of them.
  for (uint32_t slot = 0; slot < page_->used_entries; ++slot) {
    int pidfd = FdOf(slot, FdRole::kPidfd);
    if (lives(slot) && pidfd >= 0) {
      syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    }
  }
  char path[300];
  snprintf(path, sizeof(path), "%s/supervisor.sock", state_->run_dir);
  unlink(path);
  KeeperMessage message = {KeeperOp::kShutdown, 0, {}};
  TellKeeper(message, nullptr, 0);
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  SendReply(index, &reply, nullptr, 0, nullptr, 0);
  done_ = true;
  return -1;
}

// False when the message is malformed.
bool Supervisor::Serve(uint32_t index, const WireRequest& request, PacketFds* fds) {
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  auto op = static_cast<WireOp>(request.op);
  bool named = (op >= WireOp::kSpawn && op <= WireOp::kStoreDrop) || op == WireOp::kRestore;
  if (named && !IdIsValid(request.id)) return false;
  switch (op) {
    case WireOp::kHello:
      return Hello(index, request), true;
    case WireOp::kList:
      return List(index, request), true;
    case WireOp::kStoreList:
      return StoreList(index, request), true;
    case WireOp::kSpawn:
      reply.error = Spawn(index, request, fds);
      if (reply.error <= 0) return true;
      break;
    case WireOp::kStart:
    case WireOp::kGetFds:
    case WireOp::kCloseStdin:
    case WireOp::kForget:
    case WireOp::kAck:
    case WireOp::kRestore:
      reply.error = HandleEntry(index, request, fds, &reply);
      break;
    case WireOp::kStorePut:
    case WireOp::kStoreGet:
    case WireOp::kStoreDrop:
      reply.error = HandleStore(request, fds, &reply);
      if (op == WireOp::kStoreGet && reply.error == 0) {
        int fd = table_->Get(kStoreHandles + static_cast<Handle>(reply.arg0));
        return SendReply(index, &reply, nullptr, 0, &fd, 1), true;
      }
      break;
    case WireOp::kStats:
      Stats(&reply);
      break;
    case WireOp::kUpgrade:
      if (fds->count != 1) return false;
      reply.error = Upgrade(index, request, fds->fd[0]);
      break;
    case WireOp::kShutdown:
      reply.error = Shutdown(index, request);
      break;
    default:
      return false;
  }
  if (reply.error >= 0) SendReply(index, &reply, nullptr, 0, nullptr, 0);
  return true;
}

void Supervisor::ReadConnection(uint32_t index) {
  if (!connections_[index].used) return;
  WireRequest request;
  PacketFds fds;
  ssize_t size =
      ReceivePacket(connections_[index].fd, &request, sizeof(request), &fds, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
  uint32_t serial = connections_[index].serial;
  bool good = size == sizeof(request) && request.magic == kWireMagic &&
              request.version == kWireVersion && Serve(index, request, &fds);
  fds.CloseAll();
  // A reply that could not be sent has closed it already.
  if (!good && connections_[index].used && connections_[index].serial == serial) {
    CloseConnection(index);
  }
}

}  // namespace slipway::agent
