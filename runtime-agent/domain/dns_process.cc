#include "runtime-agent/domain/dns_process.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "base/logging/logging.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

constexpr uint64_t kMemoryBytes = 512 << 20;
constexpr uint64_t kOpenFiles = 65536;
constexpr uint32_t kNobody = 65534;
constexpr int kBufferBytes = 4 << 20;
constexpr timeval kSendTimeout = {.tv_sec = 2, .tv_usec = 0};

// Sockets, time and memory. The rest is for the way to its exec.
constexpr char kProfile[] = R"({
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [{
    "action": "SCMP_ACT_ALLOW",
    "names": [
      "accept4", "arch_prctl", "brk", "capset", "clock_gettime", "close", "close_range", "connect",
      "dup", "dup2", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "execveat", "exit",
      "exit_group", "fcntl", "fstat", "futex", "getpid", "getrandom", "getsockname", "gettid",
      "madvise", "mmap", "mprotect", "mremap", "munmap", "newfstatat", "prctl", "prlimit64", "read",
      "readlinkat", "recvfrom", "recvmsg", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
      "sendmsg", "sendto", "set_robust_list", "set_tid_address", "socket", "write", "writev"
    ]
  }]
})";

}  // namespace

absl::Status DnsProcess::Start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoStatus(errno, "make slipway-dns's socket");
  }
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kBufferBytes, sizeof(kBufferBytes));
  setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof(kSendTimeout));
  RETURN_IF_ERROR(spawn_(std::move(theirs)));
  control_ = std::move(ours);
  for (const auto& [key, endpoint] : endpoints_) Send(endpoint, nullptr);
  for (const auto& [id, sandbox] : sandboxes_) Send(sandbox.record, &sandbox.sockets);
  return absl::OkStatus();
}

void DnsProcess::Send(const dns::ControlMessage& message, const ResolverSockets* sockets) {
  if (!control_.ok()) return;
  std::string bytes = dns::EncodeControl(message);
  if (bytes.size() > dns::kMaxControlBytes) {
    Log(LogLevel::kError, "a sandbox has too many names for slipway-dns");
    return;
  }
  iovec piece = {.iov_base = bytes.data(), .iov_len = bytes.size()};
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char ancillary[CMSG_SPACE(2 * sizeof(int))] = {};
  if (sockets != nullptr) {
    header.msg_control = ancillary;
    header.msg_controllen = sizeof(ancillary);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(2 * sizeof(int));
    const int fds[] = {sockets->udp.get(), sockets->tcp.get()};
    memcpy(CMSG_DATA(part), fds, sizeof(fds));
  }
  // One that has ended is followed by another, which hears everything.
  if (sendmsg(control_.get(), &header, MSG_NOSIGNAL) < 0) control_.reset();
}

void DnsProcess::PutSandbox(dns::SandboxRecord record, ResolverSockets sockets) {
  absl::MutexLock lock(&mutex_);
  Sandbox& sandbox = sandboxes_[record.id];
  sandbox.record = std::move(record);
  const bool is_new = sockets.udp.ok();
  if (is_new) sandbox.sockets = std::move(sockets);
  if (control_.ok()) return Send(sandbox.record, is_new ? &sandbox.sockets : nullptr);
  const absl::Status started = Start();
  if (!started.ok()) {
    Log(LogLevel::kError, "slipway-dns does not start",
        {{"error", std::string(started.message())}});
  }
}

bool DnsProcess::HasSandbox(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  return sandboxes_.contains(id);
}

void DnsProcess::RemoveSandbox(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  if (sandboxes_.erase(id) > 0) Send(dns::SandboxGone{id}, nullptr);
}

void DnsProcess::PutEndpoint(dns::EndpointRecord record) {
  absl::MutexLock lock(&mutex_);
  Send(record, nullptr);
  const std::pair<std::string, std::string> key(record.network_id, record.container_id);
  endpoints_[key] = std::move(record);
}

void DnsProcess::RemoveEndpoint(const std::string& network_id, const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  if (endpoints_.erase({network_id, container_id}) == 0) return;
  Send(dns::EndpointGone{network_id, container_id}, nullptr);
}

void DnsProcess::RemoveEndpoints(const std::string& container_id) {
  absl::MutexLock lock(&mutex_);
  for (auto entry = endpoints_.begin(); entry != endpoints_.end();) {
    if (entry->first.second != container_id) {
      ++entry;
      continue;
    }
    Send(dns::EndpointGone{entry->first.first, container_id}, nullptr);
    entry = endpoints_.erase(entry);
  }
}

absl::Status DnsProcess::Restart() {
  absl::MutexLock lock(&mutex_);
  control_.reset();
  if (sandboxes_.empty()) return absl::OkStatus();
  return Start();
}

absl::string_view DnsSeccompProfile() { return kProfile; }

absl::StatusOr<Plan> CompileDnsPlan(DnsBindings bindings) {
  PlanBuilder plan;
  plan.NewNamespaces(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
  plan.Root(plan.AddFd(std::move(bindings.root)));
  plan.ReadonlyRoot();
  plan.PassStdio(plan.AddFd(std::move(bindings.control)), kNoPlanFd, kNoPlanFd);
  plan.Umask(077);
  plan.Rlimit(RLIMIT_AS, kMemoryBytes, kMemoryBytes, /*clamp=*/true);
  plan.Rlimit(RLIMIT_CORE, 0, 0);
  plan.Rlimit(RLIMIT_NOFILE, kOpenFiles, kOpenFiles, /*clamp=*/true);
  plan.WorkingDirectory("/", /*create=*/false);
  plan.User(kNobody, kNobody, {});
  plan.Capabilities({});
  plan.NoNewPrivileges();
  plan.Seccomp(bindings.seccomp, 0);
  plan.Environment({});
  plan.Arguments({"slipway-dns"}, plan.AddFd(std::move(bindings.program)));
  return plan.Build();
}

}  // namespace slipway::agent
