#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging/logging.h"
#include "base/os/file.h"
#include "runtime-agent/domain/runtime.h"

// Supervisor and keeper died at the same instant: the new ones get back what this agent holds. An
// agent that was started after their death holds nothing, but a container has its own pipes open
// for reading too, and where they are can be looked up.
namespace slipway::agent {
namespace {

constexpr absl::Duration kSupervisorTimeout = absl::Seconds(10);
constexpr int kMaxDescriptorsLookedAt = 1 << 16;

UniqueFd Duplicate(const UniqueFd& fd) {
  return fd.ok() ? UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)) : UniqueFd();
}

UniqueFd Duplicate(const std::shared_ptr<UniqueFd>& fd) {
  return fd == nullptr ? UniqueFd() : Duplicate(*fd);
}

// The pipe behind /proc/<pid>/fd/<name>, opened for reading; not ok() when it is another file by
// now. O_NONBLOCK: whatever is there, opening it must not wait.
UniqueFd ReopenPipe(const std::string& path, uint64_t inode) {
  UniqueFd pipe(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  struct stat info;
  if (!pipe.ok() || fstat(pipe.get(), &info) != 0 || !S_ISFIFO(info.st_mode) ||
      info.st_ino != inode) {
    return UniqueFd();
  }
  return pipe;
}

// Looks for pipes among the descriptors of one process.
void FindPipes(int pid, const uint64_t inodes[2], UniqueFd* found[2]) {
  const std::string directory = absl::StrCat("/proc/", pid, "/fd");
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return;
  int looked_at = 0;
  while (const dirent* entry = readdir(stream)) {
    if (++looked_at > kMaxDescriptorsLookedAt) break;
    char target[64];
    const ssize_t length = readlinkat(dirfd(stream), entry->d_name, target, sizeof(target) - 1);
    if (length <= 0) continue;
    const absl::string_view name(target, static_cast<size_t>(length));
    for (int i = 0; i < 2; ++i) {
      if (inodes[i] == 0 || found[i]->ok()) continue;
      if (name != absl::StrCat("pipe:[", inodes[i], "]")) continue;
      *found[i] = ReopenPipe(absl::StrCat(directory, "/", entry->d_name), inodes[i]);
    }
  }
  closedir(stream);
}

}  // namespace

EntryFds Runtime::WhatIsLeftOf(const EntryInfo& entry) {
  EntryFds fds;
  if (entry.kind == EntryKind::kExec) {
    if (const std::shared_ptr<Exec> exec = FindExec(entry.id); exec != nullptr) {
      fds.pidfd = Duplicate(exec->pidfd());
      fds.pty_master = Duplicate(exec->terminal());
    }
    return fds;
  }
  const auto container = Find(entry.id);
  if (!container.ok()) return fds;
  fds.spool = UniqueFd(open(SpoolPath(entry.id).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (const auto handles = (*container)->handles(); handles != nullptr) {
    fds.pidfd = Duplicate(handles->pidfd);
    fds.pty_master = Duplicate(handles->terminal());
    if (!fds.pty_master.ok()) fds.stdin_write = Duplicate(handles->input());
    handles->CopySpares(fds.stdout_read, fds.stderr_read, fds.pty_pipe_write);
  }
  if (fds.stdout_read.ok() || fds.pty_master.ok()) return fds;
  const auto slot = supervisor_->GetSlot(entry.slot, entry.incarnation);
  const auto processes = parts_.cgroups->ListProcesses((*container)->definition().cgroup_name());
  if (!slot.ok() || !processes.ok()) return fds;
  UniqueFd* found[2] = {&fds.stdout_read, &fds.stderr_read};
  for (const pid_t pid : *processes) FindPipes(pid, slot->pipe_inode, found);
  return fds;
}

// Returns whether there was something to restore.
bool Runtime::RestoreOrphans(const std::vector<EntryInfo>& entries) {
  int count = 0;
  for (const EntryInfo& entry : entries) {
    if ((entry.flags & kEntryOrphaned) == 0) continue;
    ++count;
    const absl::Status restored =
        supervisor_->Restore(entry.id, WhatIsLeftOf(entry), kSupervisorTimeout);
    if (!restored.ok() && !absl::IsNotFound(restored)) {
      Log(LogLevel::kError, "what a supervisor left behind was not restored",
          {{"id", entry.id}, {"error", std::string(restored.message())}});
    }
  }
  if (count == 0) return false;
  Log(LogLevel::kWarning, "supervisor and keeper had died together",
      {{"entries_restored", absl::StrCat(count)}});
  return true;
}

}  // namespace slipway::agent
