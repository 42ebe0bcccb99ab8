#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <initializer_list>

#include "runtime-agent/supervisor/control.h"
#include "runtime-agent/supervisor/handoff.h"
#include "runtime-agent/supervisor/init.h"
#include "runtime-agent/supervisor/keeper.h"
#include "runtime-agent/supervisor/supervisor.h"
#include "runtime-agent/supervisor/syscalls.h"

// slipway-supervisor --run-dir R --root A
//
// Starts supervisor and keeper in the background and returns when clients can connect to
// R/supervisor.sock; with one running already, says so. Exit codes: 0 serving, 1 failed, 2 usage.

namespace slipway::agent {
namespace {

constexpr int kListenBacklog = 64;
constexpr off_t kLogLimitBytes = 1 << 20;

Supervisor g_supervisor;  // mostly untouched zero pages

int Complain(const char* verb, const char* object) {
  dprintf(2, "slipway-supervisor: %s %s: %s\n", verb, object, strerror(errno));
  return -1;
}

void SetUpProcess() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // /proc/<pid> of a child that has joined a container
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  // Whoever started us may have ignored some; raw, as glibc hides two of them. Containers inherit.
  uint64_t default_action[4] = {};
  for (long number = 1; number <= 64; ++number) {
    syscall(SYS_rt_sigaction, number, default_action, nullptr, sizeof(uint64_t));
  }
  for (int ignored : {SIGPIPE, SIGXFSZ, SIGHUP, SIGINT, SIGTERM}) signal(ignored, SIG_IGN);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, nullptr);
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    // Needs CAP_SYS_RESOURCE; without it the score stays.
    if (write(fd, "-999", 4) < 0) errno = 0;
    close(fd);
  }
}

int Resume(int memfd) {
  ProcessState state;
  if (!ReadHandoff(memfd, &state)) return 70;
  SetUpProcess();
  return state.role == Role::kKeeper ? RunKeeper(&state) : g_supervisor.Run(&state);
}

int MakeDirectory(const char* path) {
  if (mkdir(path, 0700) == 0 || errno == EEXIST) return 0;
  return Complain("mkdir", path);
}

// Relative to the run directory, which is the working directory meanwhile: a socket's path is
// limited to 107 bytes, a directory's is not.
int Listen() {
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address = {AF_UNIX, "supervisor.sock"};
  unlink(address.sun_path);
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(address.sun_path, 0600) != 0 || listen(fd, kListenBacklog) != 0) {
    return Complain("listen on", address.sun_path);
  }
  return fd;
}

void ReadBootId(char id[40]) {
  memset(id, 0, 40);
  int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, id, 36) != 36) memset(id, 0, 40);
  close(fd);
}

// Of a supervisor and keeper that died together since this host was started.
bool IsOfTheDead(const StatusPage& page, const char boot_id[40]) {
  return page.magic == kStatusMagic && page.version == kStatusVersion &&
         page.entry_count == kMaxEntries && page.entry_size == sizeof(StatusSlot) &&
         page.used_entries <= kMaxEntries && boot_id[0] != '\0' &&
         memcmp(page.boot_id, boot_id, sizeof(page.boot_id)) == 0;
}

StatusPage* MapPage(int fd) {
  void* page = mmap(nullptr, sizeof(StatusPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return page == MAP_FAILED ? nullptr : static_cast<StatusPage*>(page);
}

// In the run directory, with the lock held: nobody else has it mapped for writing.
int MakeStatusPage(ProcessState* state) {
  static constexpr char kName[] = "supervisor.status";
  char boot_id[40];
  ReadBootId(boot_id);
  int fd = open(kName, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  struct stat info;
  if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size == sizeof(StatusPage)) {
    StatusPage* page = MapPage(fd);
    state->page = page;
    if (page != nullptr && IsOfTheDead(*page, boot_id)) {
      for (uint32_t slot = 0; slot < page->used_entries; ++slot) {
        if (page->slot[slot].state != static_cast<uint32_t>(EntryState::kFree)) {
          page->slot[slot].flags.fetch_or(kEntryOrphaned);
        }
      }
      return fd;
    }
  }
  if (fd >= 0) close(fd);
  unlink(kName);  // not emptied: somebody may still have it mapped
  fd = open(kName, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(StatusPage)) != 0) return Complain("make", kName);
  StatusPage* page = MapPage(fd);
  if (page == nullptr) return Complain("map", kName);
  state->page = page;
  page->magic = kStatusMagic;
  page->version = kStatusVersion;
  page->entry_size = sizeof(StatusSlot);
  page->first_start_time_ns = RealtimeNs();
  memcpy(page->boot_id, boot_id, sizeof(page->boot_id));
  page->entry_count = kMaxEntries;
  return fd;
}

void Daemonize(ProcessState* state) {
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int log = open("supervisor.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  struct stat info;
  if (log >= 0 && fstat(log, &info) == 0 && info.st_size > kLogLimitBytes &&
      ftruncate(log, 0) != 0) {
    errno = 0;
  }
  dup2(null, 0);
  dup2(null, 1);
  dup2(log >= 0 ? log : null, 2);
  if (chdir("/") != 0) _exit(1);
  ExecInPlace(*state);
  Complain("exec", "keeper");
  _exit(1);
}

int StartDaemon(const char* run_dir) {
  static DescriptorTable table;
  ProcessState state = {Role::kKeeper, &table, nullptr};
  char absolute[256];
  if (MakeDirectory(run_dir) != 0) return 1;
  if (chdir(run_dir) != 0 || getcwd(absolute, sizeof(absolute)) == nullptr) {
    return Complain("enter", run_dir), 1;
  }
  state.run_dir = absolute;
  umask(077);
  if (MakeDirectory("stage") != 0) return 1;
  int lock = open("supervisor.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return Complain("open", "supervisor.lock"), 1;
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Complain("lock", "supervisor.lock"), 1;
    printf("slipway-supervisor is already running in %s\n", absolute);
    return 0;
  }
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int binary = self < 0 ? -1 : SealedCopy(self);
  if (binary < 0) return Complain("copy", "/proc/self/exe"), 1;
  int listener = Listen();
  int status = MakeStatusPage(&state);
  int ready[2];
  if (listener < 0 || status < 0) return 1;
  if (pipe2(ready, O_CLOEXEC) != 0) return Complain("make", "pipe"), 1;
  table.Put(kLockHandle, lock);
  table.Put(kBinaryHandle, binary);
  table.Put(kListenHandle, listener);
  table.Put(kStatusHandle, status);
  state.ready = ready[1];
  pid_t pid = fork();
  if (pid < 0) return Complain("fork", "keeper"), 1;
  if (pid == 0) Daemonize(&state);
  close(ready[1]);
  char byte;
  if (read(ready[0], &byte, 1) != 1) {
    dprintf(2, "slipway-supervisor: did not start; see %s/supervisor.log\n", absolute);
    return 1;
  }
  return 0;
}

// The value of --name=value or --name value, or null.
const char* Option(int argc, char** argv, const char* name) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], name, length) != 0) continue;
    if (argv[i][length] == '=') return argv[i] + length + 1;
    if (argv[i][length] == '\0' && i + 1 < argc) return argv[i + 1];
  }
  return nullptr;
}

bool HasFlag(int argc, char** argv, const char* name) {
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], name) == 0) return true;
  }
  return false;
}

int Main(int argc, char** argv) {
  if (argc > 0 && strcmp(argv[0], kInitName) == 0) return RunInit(argc, argv);
  if (const char* version = Option(argc, argv, "--check-handoff")) {
    return strtoul(version, nullptr, 10) == kHandoffVersion ? 0 : 1;
  }
  if (const char* memfd = Option(argc, argv, "--resume")) return Resume(atoi(memfd));
  const char* run_dir = Option(argc, argv, "--run-dir");
  if (run_dir == nullptr) {
    dprintf(2, "usage: slipway-supervisor --run-dir DIR [--shutdown | --upgrade]\n");
    return 2;
  }
  if (HasFlag(argc, argv, "--shutdown")) return ShutdownCommand(run_dir);
  if (HasFlag(argc, argv, "--upgrade")) return UpgradeCommand(run_dir);
  return StartDaemon(run_dir);
}

}  // namespace
}  // namespace slipway::agent

int main(int argc, char** argv) { return slipway::agent::Main(argc, argv); }
