#include "runtime-agent/supervisor/client_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "base/os/thread.h"
#include "base/status/errno_status.h"
#include "runtime-agent/supervisor/packet.h"

namespace slipway::agent {

namespace {

constexpr absl::Duration kReconnectPause = absl::Milliseconds(5);
constexpr int kHandshakeTimeoutMs = 5000;
constexpr int kIdlePollMs = 60'000;

// A socket's path is limited to 107 bytes: a longer one is reached through its directory.
UniqueFd ConnectTo(const std::string& path) {
  size_t slash = path.rfind('/');
  UniqueFd directory(open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(),
                          O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  std::string reachable = absl::StrCat("/proc/self/fd/", directory.get(), "/", name);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (!directory.ok() || reachable.size() >= sizeof(address.sun_path)) return UniqueFd();
  memcpy(address.sun_path, reachable.data(), reachable.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return UniqueFd();
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return fd;
  }
  const int error = errno;
  fd.reset();
  directory.reset();
  errno = error;
  return UniqueFd();
}

}  // namespace

struct SupervisorClient::Connection::Mapping {
  const StatusPage* page = nullptr;
  ~Mapping() {
    if (page != nullptr) munmap(const_cast<StatusPage*>(page), sizeof(StatusPage));
  }
};

EntryInfo ToEntryInfo(const WireEntry& entry) {
  EntryInfo info;
  info.id.assign(entry.id, strnlen(entry.id, kIdCapacity));
  info.kind = static_cast<EntryKind>(entry.kind);
  info.state = static_cast<EntryState>(entry.state);
  info.flags = entry.flags;
  info.pid = entry.pid;
  info.wait_status = entry.wait_status;
  info.slot = entry.slot;
  info.incarnation = entry.incarnation;
  info.start_time_ns = entry.start_time_ns;
  info.exit_time_ns = entry.exit_time_ns;
  info.spool_committed = entry.spool_committed;
  info.spool_acked = entry.spool_acked;
  return info;
}

SupervisorClient::Connection::Connection(Options options)
    : options_(std::move(options)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

SupervisorClient::Connection::~Connection() { Stop(); }

bool SupervisorClient::Connection::Start() {
  reader_ = std::thread([this] {
    NameThread("supervisor");
    Run();
  });
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&ready_), options_.connect_timeout);
}

void SupervisorClient::Connection::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
  if (reader_.joinable()) reader_.join();
}

bool SupervisorClient::Connection::Send(const Pending& pending) {
  std::vector<int> fds;
  for (const UniqueFd& fd : pending.fds) fds.push_back(fd.get());
  return SendPacket(socket_.get(), &pending.request, sizeof(pending.request), fds.data(),
                    static_cast<int>(fds.size()), MSG_DONTWAIT) >= 0;
}

void SupervisorClient::Connection::Call(WireRequest request, std::vector<UniqueFd> fds,
                                        absl::Duration timeout, Done done) {
  absl::ReleasableMutexLock lock(&mutex_);
  if (stopping_) {
    lock.Release();
    return done(absl::CancelledError("supervisor: nobody is asked any more"));
  }
  request.magic = kWireMagic;
  request.version = kWireVersion;
  request.request_id = next_id_++;
  absl::Time deadline = absl::Now() + timeout;
  Pending& pending = pending_[request.request_id];
  pending = {request, std::move(fds), deadline, std::move(done)};
  if (ready_) pending.sent = Send(pending);
  // The reader sends what could not be sent, and its timer may have to ring earlier.
  uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

absl::StatusOr<SupervisorReply> SupervisorClient::Connection::CallAndWait(
    const WireRequest& request, std::vector<UniqueFd> fds, absl::Duration timeout) {
  absl::Notification arrived;
  absl::StatusOr<SupervisorReply> result = absl::UnknownError("no reply");
  Call(request, std::move(fds), timeout, [&](absl::StatusOr<SupervisorReply> reply) {
    result = std::move(reply);
    arrived.Notify();
  });
  arrived.WaitForNotification();
  return result;
}

bool SupervisorClient::Connection::SendAck(const std::string& id, uint64_t offset) {
  WireRequest request = {};
  request.magic = kWireMagic;
  request.version = kWireVersion;
  request.op = static_cast<uint16_t>(WireOp::kAck);
  request.arg0 = offset;
  memcpy(request.id, id.data(), std::min(id.size(), kIdCapacity - 1));
  return SendPacket(socket_.get(), &request, sizeof(request), nullptr, 0, MSG_DONTWAIT) >= 0;
}

void SupervisorClient::Connection::Ack(const std::string& id, uint64_t offset) {
  absl::MutexLock lock(&mutex_);
  if (ready_ && SendAck(id, offset)) return;
  unsent_acks_[id] = offset;
  uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

absl::StatusOr<SlotStatus> SupervisorClient::Connection::GetSlot(uint32_t slot,
                                                                 uint64_t incarnation) const {
  std::shared_ptr<const Mapping> mapping;
  {
    absl::MutexLock lock(&mutex_);
    mapping = mapping_;
  }
  if (mapping == nullptr || slot >= kMaxEntries) return absl::NotFoundError("no such slot");
  const StatusSlot& from = mapping->page->slot[slot];
  auto state = static_cast<EntryState>(from.state.load(std::memory_order_acquire));
  SlotStatus status = {state,
                       from.flags.load(std::memory_order_acquire),
                       from.spool_committed.load(std::memory_order_acquire),
                       from.spool_acked.load(std::memory_order_acquire),
                       {from.pipe_inode[0], from.pipe_inode[1]}};
  std::atomic_thread_fence(std::memory_order_acquire);
  if (from.incarnation != incarnation || state == EntryState::kFree) {
    return absl::NotFoundError(absl::StrCat("slot ", slot, " has another entry by now"));
  }
  return status;
}

bool SupervisorClient::Connection::ReceiveOne(uint64_t wanted, SupervisorReply* found) {
  alignas(8) char packet[kMaxReplyBytes];
  PacketFds fds;
  ssize_t size = ReceivePacket(socket_.get(), packet, sizeof(packet), &fds, MSG_DONTWAIT);
  SupervisorReply reply;
  for (int i = 0; i < fds.count; ++i) reply.fds.emplace_back(fds.fd[i]);
  if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
  if (size < static_cast<ssize_t>(sizeof(WireReply))) return false;
  memcpy(&reply.reply, packet, sizeof(WireReply));
  reply.extra.assign(packet + sizeof(WireReply), static_cast<size_t>(size) - sizeof(WireReply));
  if (reply.reply.magic != kWireMagic || reply.reply.version != kWireVersion) return false;
  if (wanted != 0 && reply.reply.request_id == wanted) {
    *found = std::move(reply);
  } else {
    Dispatch(std::move(reply));
  }
  return true;
}

void SupervisorClient::Connection::Dispatch(SupervisorReply reply) {
  if (reply.reply.op == static_cast<uint16_t>(WireOp::kExitEvent)) {
    if (options_.on_exit) options_.on_exit(ToEntryInfo(reply.reply.entry));
    return;
  }
  Done done;
  {
    absl::MutexLock lock(&mutex_);
    auto found = pending_.find(reply.reply.request_id);
    if (found == pending_.end()) return;  // its time was over
    done = std::move(found->second.done);
    pending_.erase(found);
  }
  done(std::move(reply));
}

absl::StatusOr<SupervisorReply> SupervisorClient::Connection::Exchange(const WireRequest& wanted) {
  WireRequest request = wanted;
  {
    absl::MutexLock lock(&mutex_);
    request.request_id = next_id_++;
  }
  request.magic = kWireMagic;
  request.version = kWireVersion;
  absl::Status lost = absl::UnavailableError("connection to the supervisor lost");
  if (SendPacket(socket_.get(), &request, sizeof(request), nullptr, 0, 0) < 0) return lost;
  SupervisorReply found;
  found.reply.request_id = 0;
  while (found.reply.request_id != request.request_id) {
    pollfd polled = {socket_.get(), POLLIN, 0};
    if (poll(&polled, 1, kHandshakeTimeoutMs) != 1) return lost;
    if (!ReceiveOne(request.request_id, &found)) return lost;
  }
  return found;
}

bool SupervisorClient::Connection::Handshake() {
  WireRequest hello = {};
  hello.op = static_cast<uint16_t>(WireOp::kHello);
  hello.flags = kHelloSubscribe;
  auto reply = Exchange(hello);
  if (!reply.ok() || reply->fds.size() != 2) return false;
  auto mapping = std::make_shared<Mapping>();
  void* page = mmap(nullptr, sizeof(StatusPage), PROT_READ, MAP_SHARED, reply->fds[0].get(), 0);
  if (page == MAP_FAILED) return false;
  mapping->page = static_cast<const StatusPage*>(page);
  if (mapping->page->magic != kStatusMagic || mapping->page->version != kStatusVersion)
    return false;
  progress_ = std::move(reply->fds[1]);
  std::vector<EntryInfo> entries;
  WireRequest list = {};
  list.op = static_cast<uint16_t>(WireOp::kList);
  do {
    auto batch = Exchange(list);
    if (!batch.ok()) return false;
    for (size_t at = 0; at + sizeof(WireEntry) <= batch->extra.size(); at += sizeof(WireEntry)) {
      WireEntry entry;
      memcpy(&entry, batch->extra.data() + at, sizeof(entry));
      entries.push_back(ToEntryInfo(entry));
    }
    list.arg0 = batch->reply.arg0;
  } while (list.arg0 != 0);
  {
    absl::MutexLock lock(&mutex_);
    mapping_ = std::move(mapping);
  }
  if (options_.on_resync) options_.on_resync(entries);
  return true;
}

bool SupervisorClient::Connection::TryConnect() {
  UniqueFd fd = ConnectTo(options_.socket_path);
  // Refused: the socket is kept open by whichever of supervisor and keeper lives.
  if (!fd.ok() && errno == ECONNREFUSED && options_.revive) {
    options_.revive();
    fd = ConnectTo(options_.socket_path);
  }
  if (!fd.ok()) return false;
  {
    absl::MutexLock lock(&mutex_);
    socket_ = std::move(fd);
  }
  if (!Handshake()) return false;
  absl::MutexLock lock(&mutex_);
  for (auto& [id, pending] : pending_) pending.sent = false;
  ready_ = true;
  return true;
}

// Sends what is still to be sent.
void SupervisorClient::Connection::Flush() {
  absl::MutexLock lock(&mutex_);
  for (auto& [id, pending] : pending_) {
    if (!pending.sent) pending.sent = Send(pending);
  }
  while (!unsent_acks_.empty()) {
    auto first = unsent_acks_.begin();
    if (!SendAck(first->first, first->second)) break;
    unsent_acks_.erase(first);
  }
}

void SupervisorClient::Connection::Expire() {
  std::vector<Done> expired;
  {
    absl::MutexLock lock(&mutex_);
    absl::Time now = absl::Now();
    for (auto pending = pending_.begin(); pending != pending_.end();) {
      if (pending->second.deadline <= now || stopping_) {
        expired.push_back(std::move(pending->second.done));
        pending = pending_.erase(pending);
      } else {
        ++pending;
      }
    }
  }
  for (Done& done : expired) {
    done(absl::DeadlineExceededError("supervisor: no answer in time"));
  }
}

int SupervisorClient::Connection::PollTimeoutMs() const {
  absl::MutexLock lock(&mutex_);
  absl::Time nearest = absl::InfiniteFuture();
  bool unsent = !unsent_acks_.empty();
  for (const auto& [id, pending] : pending_) {
    nearest = std::min(nearest, pending.deadline);
    unsent |= !pending.sent;
  }
  if (unsent) return 1;  // the socket was full
  if (nearest == absl::InfiniteFuture()) return kIdlePollMs;
  int64_t left_ms = absl::ToInt64Milliseconds(nearest - absl::Now()) + 1;
  return static_cast<int>(std::clamp<int64_t>(left_ms, 0, kIdlePollMs));
}

// Until the connection is lost or the client is stopped.
void SupervisorClient::Connection::Serve() {
  for (;;) {
    Flush();
    pollfd polled[3] = {
        {socket_.get(), POLLIN, 0}, {progress_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(polled, 3, PollTimeoutMs()) < 0 && errno != EINTR) return;
    uint64_t count;
    if (polled[2].revents != 0 && read(wake_.get(), &count, sizeof(count)) < 0) continue;
    if (polled[1].revents != 0 && read(progress_.get(), &count, sizeof(count)) > 0 &&
        options_.on_progress) {
      options_.on_progress();
    }
    if (polled[0].revents != 0 && !ReceiveOne(0, nullptr)) return;
    Expire();
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
  }
}

void SupervisorClient::Connection::Run() {
  for (;;) {
    if (TryConnect()) Serve();
    Expire();
    absl::MutexLock lock(&mutex_);
    ready_ = false;
    socket_.reset();
    if (stopping_) return;
    // A restart of the supervisor takes about as long as this pause.
    mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kReconnectPause);
    if (stopping_) break;
  }
  Expire();
}

}  // namespace slipway::agent
