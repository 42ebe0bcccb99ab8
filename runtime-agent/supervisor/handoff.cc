#include "runtime-agent/supervisor/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::agent {

namespace {

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

struct HandoffHeader {
  uint32_t magic;
  uint32_t version;
  Role role;
  uint32_t count;
  int32_t peer;
  int32_t supervisor_pid;
  int32_t ready;
  char run_dir[256];
};

struct HandoffPair {
  Handle handle;
  int32_t fd;
};

DescriptorTable g_table;
char g_run_dir[256];

void SetCloseOnExec(int fd, bool on) {
  if (fd >= 0) fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

template <typename Visit>
void ForEachHandle(const DescriptorTable& table, uint32_t used_entries, Visit visit) {
  for (Handle handle = 0; handle < used_entries * kFdRoles; ++handle) {
    if (table.Get(handle) >= 0) visit(handle, table.Get(handle));
  }
  for (Handle handle = kStoreHandles; handle < kHandleCount; ++handle) {
    if (table.Get(handle) >= 0) visit(handle, table.Get(handle));
  }
}

int WriteHandoff(const ProcessState& state) {
  int memfd = memfd_create("slipway-handoff", 0);
  if (memfd < 0) return -1;
  HandoffHeader header = {kHandoffMagic, kHandoffVersion,      state.role,  0,
                          state.peer,    state.supervisor_pid, state.ready, {}};
  snprintf(header.run_dir, sizeof(header.run_dir), "%s", state.run_dir);
  bool ok = true;
  off_t at = sizeof(header);
  ForEachHandle(*state.table, state.page->used_entries, [&](Handle handle, int fd) {
    HandoffPair pair = {handle, fd};
    ok = ok && pwrite(memfd, &pair, sizeof(pair), at) == sizeof(pair);
    at += sizeof(pair);
    ++header.count;
  });
  if (!ok || pwrite(memfd, &header, sizeof(header), 0) != sizeof(header)) {
    close(memfd);
    return -1;
  }
  return memfd;
}

}  // namespace

void ExecInPlace(const ProcessState& state) {
  int memfd = WriteHandoff(state);
  if (memfd < 0) return;
  auto inherit = [&](bool on) {
    ForEachHandle(*state.table, state.page->used_entries,
                  [on](Handle, int fd) { SetCloseOnExec(fd, !on); });
    SetCloseOnExec(state.peer, !on);
    SetCloseOnExec(state.ready, !on);
  };
  inherit(true);
  char option[32];
  snprintf(option, sizeof(option), "--resume=%d", memfd);
  char name[] = "slipway-supervisor";
  char role[16];
  snprintf(role, sizeof(role), "%s", state.role == Role::kKeeper ? "keeper" : "supervisor");
  char run_dir[272];
  snprintf(run_dir, sizeof(run_dir), "--run-dir=%s", state.run_dir);
  char* const argv[] = {name, role, run_dir, option, nullptr};
  char* const envp[] = {nullptr};
  execveat(state.table->Get(kBinaryHandle), "", argv, envp, AT_EMPTY_PATH);
  int error = errno;
  inherit(false);
  close(memfd);
  errno = error;
}

bool ReadHandoff(int fd, ProcessState* state) {
  HandoffHeader header;
  if (pread(fd, &header, sizeof(header), 0) != sizeof(header) || header.magic != kHandoffMagic ||
      header.version != kHandoffVersion || header.count > kHandleCount) {
    return false;
  }
  for (uint32_t i = 0; i < header.count; ++i) {
    HandoffPair pair;
    off_t at = static_cast<off_t>(sizeof(header) + i * sizeof(pair));
    if (pread(fd, &pair, sizeof(pair), at) != sizeof(pair) || pair.handle >= kHandleCount) {
      return false;
    }
    SetCloseOnExec(pair.fd, true);
    g_table.Put(pair.handle, pair.fd);
  }
  close(fd);
  SetCloseOnExec(header.peer, true);
  SetCloseOnExec(header.ready, true);
  memcpy(g_run_dir, header.run_dir, sizeof(g_run_dir));
  void* page = mmap(nullptr, sizeof(StatusPage), PROT_READ | PROT_WRITE, MAP_SHARED,
                    g_table.Get(kStatusHandle), 0);
  if (page == MAP_FAILED) return false;
  *state = {
      header.role,  &g_table, static_cast<StatusPage*>(page), header.peer, header.supervisor_pid,
      header.ready, g_run_dir};
  return state->page->magic == kStatusMagic && state->page->version == kStatusVersion;
}

int SealedCopy(int source) {
  struct stat info;
  if (fstat(source, &info) != 0) return -1;
  int memfd = memfd_create("slipway-supervisor", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  if (memfd < 0 && errno == EINVAL) {  // before Linux 6.3 every memfd is executable
    memfd = memfd_create("slipway-supervisor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  }
  if (memfd < 0) return -1;
  off_t offset = 0;
  while (offset < info.st_size) {
    ssize_t sent = sendfile(memfd, source, &offset, static_cast<size_t>(info.st_size - offset));
    if (sent <= 0) break;
  }
  if (offset != info.st_size || info.st_size == 0 ||
      fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
    close(memfd);
    errno = EIO;
    return -1;
  }
  return memfd;
}

}  // namespace slipway::agent
