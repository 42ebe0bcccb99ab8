#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime-agent/supervisor/supervisor.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr uint64_t kAllowedCloneFlags =
    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr int kPlanSeals = F_SEAL_SHRINK | F_SEAL_WRITE;

// Maps a plan that nobody can change any more. Null with errno.
const void* MapPlan(int memfd, size_t* size) {
  struct stat info;
  if (fstat(memfd, &info) != 0) return nullptr;
  int seals = fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || (seals & kPlanSeals) != kPlanSeals || info.st_size <= 0 ||
      info.st_size > kMaxPlanBytes) {
    errno = EINVAL;
    return nullptr;
  }
  *size = static_cast<size_t>(info.st_size);
  void* plan = mmap(nullptr, *size, PROT_READ, MAP_SHARED | MAP_POPULATE, memfd, 0);
  return plan == MAP_FAILED ? nullptr : plan;
}

void CloseThree(int fds[3]) {
  for (int i = 0; i < 3; ++i) {
    if (fds[i] >= 0) close(fds[i]);
    fds[i] = -1;
  }
}

int ClosePair(const int pair[2]) {
  int error = errno;
  close(pair[0]);
  close(pair[1]);
  errno = error;
  return -1;
}

// The spool must be an ordinary file that can be spliced into at an offset.
bool PrepareSpool(int spool, const PlanHeader& header) {
  struct stat info;
  int flags = fcntl(spool, F_GETFL);
  bool usable = flags >= 0 && (flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) == 0 &&
                fstat(spool, &info) == 0 && S_ISREG(info.st_mode) &&
                header.spool_acked <= header.spool_offset && header.spool_capacity >= (64u << 10);
  if (!usable) {
    errno = EINVAL;
    return false;
  }
  return ftruncate(spool, static_cast<off_t>(header.spool_offset)) == 0;
}

uint64_t InodeOf(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

// The write end of a pipe opened for reading too; consumes `fd`. Its process is then a reader
// itself: should all who read for us die at once, it meets a full pipe and waits, and not a broken
// one, which would end it.
int ForBoth(int fd) {
  char path[40];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  int both = open(path, O_RDWR | O_CLOEXEC);
  int error = errno;
  close(fd);
  errno = error;
  return both;
}

}  // namespace

// Fills the roles of `slot` and the child's ends; -1 with errno.
int Supervisor::MakeStreams(uint32_t slot, const PlanView& plan, const PacketFds& fds,
                            int child_ends[3]) {
  const PlanHeader& header = plan.header();
  if ((header.flags & kPlanPassedStdio) != 0) {
    for (int i = 0; i < 3; ++i) {
      if (header.stdio_fd[i] < 0) continue;
      child_ends[i] = fcntl(fds.fd[1 + header.stdio_fd[i]], F_DUPFD_CLOEXEC, 3);
      if (child_ends[i] < 0) return -1;
    }
    return 0;
  }
  int pair[2];
  bool tty = (header.flags & kPlanHasTty) != 0;
  if (!tty && (header.flags & kPlanStdinPipe) != 0) {
    if (pipe2(pair, O_CLOEXEC) != 0) return -1;
    child_ends[0] = pair[0];
    table_->Put(EntryHandle(slot, FdRole::kStdin), pair[1]);
  }
  if (header.spool_fd < 0) return 0;
  int spool = fcntl(fds.fd[1 + header.spool_fd], F_DUPFD_CLOEXEC, 3);
  if (spool < 0) return -1;
  table_->Put(EntryHandle(slot, FdRole::kSpool), spool);
  if (!PrepareSpool(spool, header)) return -1;
  if (pipe2(pair, O_CLOEXEC) != 0) return -1;
  table_->Put(EntryHandle(slot, FdRole::kStdout), pair[0]);
  page_->slot[slot].pipe_inode[0] = InodeOf(pair[0]);
  if (tty) {
    table_->Put(EntryHandle(slot, FdRole::kPtyPipeWrite), pair[1]);
    return 0;
  }
  child_ends[1] = ForBoth(pair[1]);
  if (child_ends[1] < 0 || pipe2(pair, O_CLOEXEC) != 0) return -1;
  table_->Put(EntryHandle(slot, FdRole::kStderr), pair[0]);
  page_->slot[slot].pipe_inode[1] = InodeOf(pair[0]);
  child_ends[2] = ForBoth(pair[1]);
  return child_ends[2] < 0 ? -1 : 0;
}

int Supervisor::CloneChild(uint32_t slot, Child* child, const PacketFds& fds) {
  const PlanHeader& header = child->plan.header();
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -1;
  int pidfd = -1;
  clone_args args = {};
  args.flags = header.clone_flags | CLONE_PIDFD;
  args.exit_signal = SIGCHLD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  if (header.cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(fds.fd[1 + header.cgroup_fd]);
  }
  for (int i = 1; i < fds.count; ++i) child->fd[i - 1] = fds.fd[i];
  child->sync = pair[1];
  page_->slot[slot].clone_boottime_ns = BoottimeNs();
  const bool blank = child->plan.Find(PlanStep::kRoot) != nullptr;
  if (blank && blank_.Enter() != 0) return ClosePair(pair);
  pid_t pid = Clone3(&args);
  if (pid == 0) RunChild(child);
  int error = errno;
  // A supervisor without its paths is of no use; the keeper starts another.
  if (blank && blank_.Leave() != 0) _exit(75);
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    errno = error;
    return -1;
  }
  StatusSlot& entry = page_->slot[slot];
  table_->Put(EntryHandle(slot, FdRole::kSync), pair[0]);
  if (child->plan.Find(PlanStep::kSecondClone) != nullptr) {
    entry.helper_pid = pid;
    close(pidfd);
  } else {
    entry.pid = pid;
    table_->Put(EntryHandle(slot, FdRole::kPidfd), pidfd);
  }
  return 0;
}

// 0 when the process is on its way to its exec; otherwise the PlanStep that failed, with errno.
int Supervisor::SpawnPlan(const WireRequest& request, const PlanView& plan, PacketFds* fds,
                          uint32_t slot) {
  const PlanHeader& header = plan.header();
  StatusSlot& entry = page_->slot[slot];
  memset(static_cast<void*>(&entry), 0, sizeof(entry));
  memcpy(entry.id, request.id, sizeof(entry.id));
  entry.kind = request.kind;
  entry.incarnation = page_->next_incarnation.fetch_add(1) + 1;
  entry.token = request.arg0;
  entry.spool_policy = header.spool_policy;
  entry.spool_capacity = header.spool_capacity;
  entry.spool_committed = header.spool_offset;
  entry.spool_acked = header.spool_acked;
  entry.flags = ((request.flags & kSpawnHold) != 0 ? uint32_t{kEntryHold} : 0) |
                ((header.flags & kPlanHasTty) != 0 ? uint32_t{kEntryTty} : 0);
  if (slot >= page_->used_entries) page_->used_entries = slot + 1;
  SetState(slot, EntryState::kStarting);

  Child child;
  child.plan = plan;
  child.null = null_;
  child.proc = proc_;
  if ((header.flags & kPlanInit) != 0) child.init_binary = table_->Get(kBinaryHandle);
  auto failed = [&](PlanStep step) {
    int error = errno;
    CloseThree(child.stdio);
    Free(slot);
    errno = error;
    return static_cast<int>(step);
  };
  if (MakeStreams(slot, plan, *fds, child.stdio) != 0) return failed(PlanStep::kMakeStdio);
  if (FdOf(slot, FdRole::kStdin) >= 0) entry.flags.fetch_or(kEntryStdinOpen);
  // Before the process exists: no byte of it may be in a pipe that only we have.
  if (!Hold(slot, ~0u)) return failed(PlanStep::kKeeper);
  if (CloneChild(slot, &child, *fds) != 0) return failed(PlanStep::kClone);
  CloseThree(child.stdio);
  // It runs its steps meanwhile, but execs only after this.
  Hold(slot, RoleBit(FdRole::kPidfd) | RoleBit(FdRole::kSync));
  WatchRole(slot, FdRole::kSync);
  WatchRole(slot, FdRole::kPidfd);
  ResumeStreams(slot);
  if ((entry.flags & kEntryHold) == 0 && entry.pid != 0) SendGo(slot);
  return 0;
}

void Supervisor::AwaitExec(uint32_t slot, uint32_t connection, const WireRequest& request) {
  Runtime& runtime = runtime_[slot];
  runtime.connection_plus_one = connection + 1;
  runtime.serial = connections_[connection].serial;
  runtime.request_id = request.request_id;
  runtime.op = static_cast<WireOp>(request.op);
}

// 0: the reply comes with the exec. Otherwise the errno of a failure that was not replied yet; -1
// when it was.
int Supervisor::Spawn(uint32_t connection, const WireRequest& request, PacketFds* fds) {
  WireReply reply = {};
  reply.op = request.op;
  reply.request_id = request.request_id;
  int existing = FindSlot(request.id);
  if (existing >= 0) {
    auto slot = static_cast<uint32_t>(existing);
    if (page_->slot[slot].token != request.arg0) return EEXIST;
    // The same request again, after a reconnection.
    EntryState state = StateOf(slot);
    if (state == EntryState::kStarting || state == EntryState::kFailed) {
      AwaitExec(slot, connection, request);
      return 0;
    }
    SendEntryReply(connection, &reply, slot, kSpawnFdMask);
    return -1;
  }
  bool kind_ok = request.kind == static_cast<uint32_t>(EntryKind::kContainer) ||
                 request.kind == static_cast<uint32_t>(EntryKind::kExec);
  if (!kind_ok || fds->count < 1) return EINVAL;
  size_t size = 0;
  const void* bytes = MapPlan(fds->fd[0], &size);
  PlanView plan;
  uint32_t fd_count = static_cast<uint32_t>(fds->count) - 1;
  bool valid = bytes != nullptr && plan.Parse(bytes, size, fd_count) &&
               (plan.header().clone_flags & ~kAllowedCloneFlags) == 0;
  int step = static_cast<int>(PlanStep::kReadPlan);
  errno = EINVAL;
  if (valid) {
    uint32_t slot = 0;
    while (slot < kMaxEntries && StateOf(slot) != EntryState::kFree) ++slot;
    errno = ENOSPC;
    if (slot < kMaxEntries) {
      step = SpawnPlan(request, plan, fds, slot);
      if (step == 0) AwaitExec(slot, connection, request);
    }
  }
  int error = errno;
  if (bytes != nullptr) munmap(const_cast<void*>(bytes), size);
  if (step == 0) return 0;
  reply.error = error;
  reply.step = static_cast<uint32_t>(step);
  SendReply(connection, &reply, nullptr, 0, nullptr, 0);
  return -1;
}

}  // namespace slipway::agent
