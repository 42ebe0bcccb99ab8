#include "runtime-agent/domain/archiver.h"

#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/status/errno_status.h"
#include "base/status/status_macros.h"

namespace slipway::agent {
namespace {

// Enough for the largest dictionaries of xz and zstd that anybody uses (64 and 128 MiB).
constexpr uint64_t kMemoryBytes = 1 << 30;
constexpr uint64_t kOpenFiles = 4096;
constexpr uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// Reading and writing files below its root, and ending. Nothing that makes processes, sockets,
// mounts or namespaces; capset, close_range, execveat and sendmsg are for the way to its exec.
constexpr char kProfile[] = R"({
  "defaultAction": "SCMP_ACT_ERRNO",
  "syscalls": [{
    "action": "SCMP_ACT_ALLOW",
    "names": [
      "arch_prctl", "brk", "capset", "chmod", "clock_gettime", "close", "close_range", "dup", "dup2",
      "execveat", "exit", "exit_group", "faccessat", "faccessat2", "fchmod", "fchmodat", "fchown",
      "fchownat", "fcntl", "fgetxattr", "flistxattr", "fsetxattr", "fstat", "fstatfs", "ftruncate",
      "futex", "getdents64", "getegid", "geteuid", "getgid", "getpid", "getrandom", "gettid", "getuid",
      "lchown", "lgetxattr", "link", "linkat", "llistxattr", "lseek", "lsetxattr", "lstat", "madvise",
      "mkdir", "mkdirat", "mknod", "mknodat", "mmap", "mprotect", "mremap", "munmap", "newfstatat",
      "open", "openat", "poll", "ppoll", "prctl", "pread64", "prlimit64", "pwrite64", "read",
      "readlink", "readlinkat", "readv", "rmdir", "rseq", "rt_sigaction", "rt_sigprocmask",
      "rt_sigreturn", "sendmsg", "set_robust_list", "set_tid_address", "splice", "stat", "statfs",
      "statx", "symlink", "symlinkat", "umask", "unlink", "unlinkat", "utimensat", "write", "writev"
    ]
  }]
})";

absl::Status ReadFully(int fd, char* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = read(fd, data + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read a reply of slipway-archive");
    if (got == 0) return absl::InternalError("slipway-archive ended without a last word");
    done += static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Archiver::Reply> Archiver::ReadReply() {
  Reply reply;
  RETURN_IF_ERROR(
      ReadFully(replies_.get(), reinterpret_cast<char*>(&reply.head), sizeof(reply.head)));
  if (reply.head.magic != kArchiveReplyMagic || reply.head.name_bytes > kMaxArchiveTextBytes ||
      reply.head.text_bytes > kMaxArchiveTextBytes) {
    return absl::InternalError("slipway-archive sent what is no reply");
  }
  reply.name.resize(reply.head.name_bytes);
  RETURN_IF_ERROR(ReadFully(replies_.get(), reply.name.data(), reply.name.size()));
  reply.text.resize(reply.head.text_bytes);
  RETURN_IF_ERROR(ReadFully(replies_.get(), reply.text.data(), reply.text.size()));
  if (reply.head.kind != static_cast<uint32_t>(ArchiveReplyKind::kError)) return reply;
  const bool known = reply.head.code > 0 && reply.head.code <= 16;
  return absl::Status(
      known ? static_cast<absl::StatusCode>(reply.head.code) : absl::StatusCode::kInternal,
      reply.text);
}

absl::StatusOr<ArchivePathStat> Archiver::ReadStat() {
  ASSIGN_OR_RETURN(Reply reply, ReadReply());
  if (reply.head.kind != static_cast<uint32_t>(ArchiveReplyKind::kStat)) {
    return absl::InternalError("slipway-archive told nothing of the path");
  }
  return ArchivePathStat{.name = std::move(reply.name),
                         .size_bytes = reply.head.size_bytes,
                         .mode = reply.head.mode,
                         .modified_ns = reply.head.modified_ns,
                         .link_target = std::move(reply.text)};
}

absl::StatusOr<size_t> Archiver::ReadOutput(char* data, size_t size) {
  while (true) {
    const ssize_t got = read(output_.get(), data, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return ErrnoStatus(errno, "read an archive");
  }
}

absl::StatusOr<bool> Archiver::WriteInput(absl::string_view data) {
  while (!data.empty()) {
    const ssize_t put = write(input_.get(), data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EPIPE) return false;
    if (put < 0) return ErrnoStatus(errno, "write an archive");
    data.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

absl::Status Archiver::Finish() {
  ASSIGN_OR_RETURN(const Reply reply, ReadReply());
  if (reply.head.kind == static_cast<uint32_t>(ArchiveReplyKind::kDone)) return absl::OkStatus();
  return absl::InternalError("slipway-archive sent a reply that was not expected");
}

uint64_t ArchiverCapabilities(const ArchiveCommand& command) {
  const auto bit = [](int capability) { return uint64_t{1} << capability; };
  // The overlay's own xattrs are shown to an administrator only.
  if (command.view == ArchiveView::kChanges) return bit(CAP_DAC_READ_SEARCH) | bit(CAP_SYS_ADMIN);
  if (command.arguments.empty() || command.arguments[0] != "write") return bit(CAP_DAC_READ_SEARCH);
  return bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID) |
         bit(CAP_MKNOD) | bit(CAP_SETFCAP);
}

absl::string_view ArchiverSeccompProfile() { return kProfile; }

absl::StatusOr<Plan> CompileArchiverPlan(ArchiverBindings bindings) {
  PlanBuilder plan;
  plan.NewNamespaces(CLONE_NEWNS);
  plan.Root(plan.AddFd(std::move(bindings.root)));
  for (ArchiverMount& mount : bindings.mounts) {
    plan.Bind({.tree = plan.AddFd(std::move(mount.tree)),
               .target = mount.target,
               .is_file = mount.is_file,
               .recursive = true,
               .set_attributes = kQuiet | (mount.read_only ? uint64_t{MOUNT_ATTR_RDONLY} : 0)});
  }
  if (bindings.read_only_root) plan.ReadonlyRoot();
  const PlanFd input = bindings.input.ok() ? plan.AddFd(std::move(bindings.input)) : kNoPlanFd;
  const PlanFd output = bindings.output.ok() ? plan.AddFd(std::move(bindings.output)) : kNoPlanFd;
  const PlanFd replies = plan.AddFd(std::move(bindings.replies));
  plan.PassStdio(input, output, replies);
  plan.Umask(0);
  plan.Rlimit(RLIMIT_AS, kMemoryBytes, kMemoryBytes, /*clamp=*/true);
  plan.Rlimit(RLIMIT_CORE, 0, 0);
  plan.Rlimit(RLIMIT_NOFILE, kOpenFiles, kOpenFiles, /*clamp=*/true);
  plan.WorkingDirectory("/", /*create=*/false);
  if (bindings.user_namespace.ok()) {
    plan.UserNamespace(plan.AddFd(std::move(bindings.user_namespace)), bindings.first_uid,
                       bindings.first_gid, bindings.first_uid);
  }
  plan.User(0, 0, {});
  plan.Capabilities({.bounding = bindings.capabilities,
                     .effective = bindings.capabilities,
                     .permitted = bindings.capabilities});
  plan.NoNewPrivileges();
  plan.Seccomp(bindings.seccomp, 0);
  plan.Environment({});
  std::vector<std::string> arguments = {"slipway-archive"};
  for (std::string& argument : bindings.arguments) arguments.push_back(std::move(argument));
  plan.Arguments(arguments, plan.AddFd(std::move(bindings.program)));
  return plan.Build();
}

}  // namespace slipway::agent
