#include "runtime-agent/supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <initializer_list>

#include "runtime-agent/supervisor/packet.h"
#include "runtime-agent/supervisor/syscalls.h"

namespace slipway::agent {

namespace {

constexpr long kDevptsMagic = 0x1cd1;

void CopyText(char* to, size_t capacity, const char* from) {
  size_t length = strnlen(from, capacity - 1);
  memcpy(to, from, length);
  to[length] = '\0';
}

void Tell(const Child& child, SyncKind kind, uint32_t value, int fd) {
  SyncMessage message = {};
  message.kind = kind;
  message.report.step = value;
  SendPacket(child.sync, &message, sizeof(message), &fd, fd >= 0 ? 1 : 0, 0);
}

// Closes every descriptor but the plan's, stdio and the sync socket: a process that waits for its
// start must not keep other containers' pipes open.
void CloseOthers(const Child& child) {
  int keep[kMaxPlanFds + 8];
  int count = 0;
  auto insert = [&](int fd) {
    if (fd <= 2) return;
    int at = count++;
    for (; at > 0 && keep[at - 1] > fd; --at) keep[at] = keep[at - 1];
    keep[at] = fd;
  };
  insert(child.sync);
  insert(child.null);
  insert(child.proc);
  insert(child.hold);
  for (int fd : child.stdio) insert(fd);
  insert(child.init_binary);
  for (uint32_t i = 0; i < child.plan.header().fd_count; ++i) insert(child.fd[i]);
  unsigned next = 3;
  for (int i = 0; i < count; ++i) {
    unsigned fd = static_cast<unsigned>(keep[i]);
    if (fd > next) close_range(next, fd - 1, 0);
    if (fd >= next) next = fd + 1;
  }
  close_range(next, ~0u, 0);
}

int PlaceStdio(const Child& child) {
  for (int i = 0; i < 3; ++i) {
    int from = child.stdio[i] >= 0 ? child.stdio[i] : child.null;
    if (from < 0 || dup2(from, i) < 0) return -1;
  }
  return 0;
}

void ResetSignals() {
  for (int signal : {SIGPIPE, SIGXFSZ, SIGHUP, SIGINT, SIGTERM, SIGCHLD}) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

int WriteText(int directory, const char* path, const char* text) {
  int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return written < 0 ? -1 : 0;
}

int SetOomScore(const Child& child, int64_t value) {
  char text[24];
  snprintf(text, sizeof(text), "%d", static_cast<int>(value));
  return WriteText(child.proc, "self/oom_score_adj", text);
}

int LoopbackUp() {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  int result = ioctl(fd, SIOCGIFFLAGS, &request);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (result == 0) result = ioctl(fd, SIOCSIFFLAGS, &request);
  close(fd);
  return result;
}

int SetLimit(const PlanStepRecord& step) {
  auto resource = static_cast<__rlimit_resource_t>(step.a);
  rlimit limit = {step.b, step.c};
  if (setrlimit(resource, &limit) == 0) return 0;
  rlimit now;
  if (errno != EPERM || (step.flags & kPlanOptional) == 0 || getrlimit(resource, &now) != 0) {
    return -1;
  }
  // Without CAP_SYS_RESOURCE the hard limit cannot be raised: as near as possible.
  if (limit.rlim_cur > now.rlim_max) limit.rlim_cur = now.rlim_max;
  if (limit.rlim_max > now.rlim_max) limit.rlim_max = now.rlim_max;
  return setrlimit(resource, &limit);
}

// The second clone puts the process into the joined pid namespace, as a child of the supervisor.
int CloneAgain(const Child& child) {
  int pidfd = -1;
  clone_args args = {};
  args.flags = CLONE_PARENT | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  pid_t pid = Clone3(&args);
  if (pid < 0) return -1;
  if (pid == 0) return 0;
  Tell(child, SyncKind::kProcess, static_cast<uint32_t>(pid), pidfd);
  _exit(0);
}

int OpenTerminal(Child* child, const PlanStepRecord& step) {
  int master = OpenInside(child, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
  struct stat info;
  struct statfs filesystem;
  if (master < 0 || fstat(master, &info) != 0 || fstatfs(master, &filesystem) != 0) return -1;
  if (filesystem.f_type != kDevptsMagic || info.st_rdev != makedev(5, 2)) {
    errno = ENOTTY;  // the container put something else there
    return -1;
  }
  int unlock = 0;
  if (ioctl(master, TIOCSPTLCK, &unlock) != 0) return -1;
  child->terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (child->terminal < 0) return -1;
  winsize size = {};
  size.ws_row = static_cast<unsigned short>(step.a >> 16);
  size.ws_col = static_cast<unsigned short>(step.a & 0xffff);
  if (step.a != 0 && ioctl(child->terminal, TIOCSWINSZ, &size) != 0) return -1;
  if (ioctl(child->terminal, TIOCSCTTY, 0) != 0) return -1;
  if ((step.flags & kPlanConsole) != 0 && BindConsole(child) != 0) return -1;
  for (int i = 0; i < 3; ++i) {
    if (dup2(child->terminal, i) < 0) return -1;
  }
  Tell(*child, SyncKind::kTerminal, 0, master);
  return close(master);
}

bool ReadGo(int socket) {
  char go = 0;
  ssize_t size;
  do {
    size = recv(socket, &go, 1, 0);
  } while (size < 0 && errno == EINTR);
  return size == 1;
}

// Waits for the supervisor's byte; its end of file means that nobody knows this process.
void AwaitGo(const Child& child) {
  if (!ReadGo(child.sync)) _exit(126);
}

void AwaitStart(Child* child) {
  if (child->hold < 0) return AwaitGo(*child);
  for (;;) {
    int peer = accept4(child->hold, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0 && errno != EINTR && errno != ECONNABORTED) _exit(126);
    if (peer < 0) continue;
    if (ReadGo(peer)) {
      close(child->sync);
      close(child->hold);
      child->sync = peer;
      return;
    }
    close(peer);  // it died before it had said so
  }
}

const char** PointerArray(const char* blob, uint64_t count) {
  size_t bytes = (count + 1) * sizeof(char*);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto** array = static_cast<const char**>(memory);
  for (uint64_t i = 0; i < count; ++i) {
    array[i] = blob;
    blob += strlen(blob) + 1;
  }
  array[count] = nullptr;
  return array;
}

// execvp(3) with the container's own PATH. Returns the errno of the failure.
int SearchAndExec(const char** argv, const char** envp) {
  auto run = [&](const char* path) {
    execve(path, const_cast<char* const*>(argv), const_cast<char* const*>(envp));
    return errno;
  };
  if (argv[0][0] == '\0') return ENOENT;
  if (strchr(argv[0], '/') != nullptr) return run(argv[0]);
  const char* path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const char** variable = envp; *variable != nullptr; ++variable) {
    if (strncmp(*variable, "PATH=", 5) == 0) path = *variable + 5;
  }
  int result = ENOENT;
  size_t name_length = strlen(argv[0]);
  for (;;) {
    const char* end = strchrnul(path, ':');
    size_t length = static_cast<size_t>(end - path);
    char candidate[4096];
    if (length + name_length + 2 <= sizeof(candidate)) {
      memcpy(candidate, length == 0 ? "." : path, length == 0 ? 1 : length);
      if (length == 0) length = 1;
      candidate[length] = '/';
      memcpy(candidate + length + 1, argv[0], name_length + 1);
      int error = run(candidate);
      if (error == EACCES) {
        result = EACCES;
      } else if (error != ENOENT && error != ENOTDIR) {
        return error;
      }
    }
    if (*end == '\0') return result;
    path = end + 1;
  }
}

[[noreturn]] void Exec(const Child& child, const PlanStepRecord& step) {
  const PlanStepRecord* environment = child.plan.Find(PlanStep::kEnvironment);
  const char** argv = PointerArray(child.plan.blob(step), step.a);
  const char** envp = environment == nullptr
                          ? PointerArray("", 0)
                          : PointerArray(child.plan.blob(*environment), environment->a);
  if (argv == nullptr || envp == nullptr) FailChild(child, PlanStep::kExec, ENOMEM, "");
  close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
  if ((child.plan.header().flags & kPlanInit) != 0 && ForkProgram(child, argv, envp) != 0) {
    FailChild(child, PlanStep::kExec, errno, "init");
  }
  Tell(child, SyncKind::kExec, 0, -1);
  int error = 0;
  if (step.fd >= 0) {
    syscall(SYS_execveat, child.fd[step.fd], "", argv, envp, AT_EMPTY_PATH);
    error = errno;
  } else {
    error = SearchAndExec(argv, envp);
  }
  FailChild(child, PlanStep::kExec, error, argv[0]);
}

int RunIdentityStep(Child* child, const PlanStepRecord& step) {
  switch (static_cast<PlanStep>(step.step)) {
    case PlanStep::kRlimit:
      return SetLimit(step);
    case PlanStep::kUmask:
      umask(static_cast<mode_t>(step.a));
      return 0;
    case PlanStep::kHostStdioOwner:
      return OwnStdio(static_cast<uint32_t>(step.a));
    case PlanStep::kUserNamespace:
      return setns(child->fd[step.fd], CLONE_NEWUSER);
    case PlanStep::kBoundingSet:
      return DropBounding(step.a);
    case PlanStep::kStdioOwner:
      return OwnStdio(static_cast<uint32_t>(step.a));
    case PlanStep::kUser:
      return SetUser(child, step);
    case PlanStep::kWorkingDirectory:
      return EnterDirectory(child, child->plan.text(step, 1));
    case PlanStep::kNoNewPrivileges:
      return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    case PlanStep::kSeccomp:
      return InstallSeccomp(child, step);
    case PlanStep::kCapabilities:
      return SetCapabilities(step.a, step.b, step.c);
    case PlanStep::kAmbient:
      return RaiseAmbient(step.a);
    case PlanStep::kExec:
      Exec(*child, step);
    default:
      errno = ENOSYS;
      return -1;
  }
}

int RunMountStep(Child* child, const PlanStepRecord& step) {
  const PlanView& plan = child->plan;
  switch (static_cast<PlanStep>(step.step)) {
    case PlanStep::kSetPropagation:
    case PlanStep::kRootPropagation:
      return SetPropagation(step.a);
    case PlanStep::kRoot:
      return ChangeRoot(child, step);
    case PlanStep::kMount:
      return MountFilesystem(child, step);
    case PlanStep::kBind:
      return BindTree(child, step);
    case PlanStep::kDevice:
      return MakeDevice(child, step);
    case PlanStep::kSymlink:
      return MakeSymlink(child, step);
    case PlanStep::kMakeDirectory:
      return MakePath(child, plan.text(step, 1), static_cast<uint32_t>(step.a));
    case PlanStep::kWorkingDirectoryMake:
      return MakePath(child, plan.text(step, 1), 0755);
    case PlanStep::kTty:
      return OpenTerminal(child, step);
    case PlanStep::kSysctl:
      return WriteSysctl(child, step);
    case PlanStep::kReadonlyPath:
      return ReadonlyPath(child, step);
    case PlanStep::kMaskPath:
      return MaskPath(child, step);
    case PlanStep::kReadonlyRoot:
      return ReadonlyRoot();
    default:
      return RunIdentityStep(child, step);
  }
}

int RunStep(Child* child, const PlanStepRecord& step) {
  const char* text = child->plan.text(step, 0);
  switch (static_cast<PlanStep>(step.step)) {
    case PlanStep::kJoinCgroup:
      return write(child->fd[step.fd], "0", 1) == 1 ? 0 : -1;
    case PlanStep::kOomScoreAdj:
      return SetOomScore(*child, static_cast<int64_t>(step.a));
    case PlanStep::kJoinNamespace:
      return setns(child->fd[step.fd], static_cast<int>(step.a));
    case PlanStep::kUnshare:
      return unshare(static_cast<int>(step.a));
    case PlanStep::kSecondClone:
      return CloneAgain(*child);
    case PlanStep::kSessionKeyring:
      return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, text) < 0 ? -1 : 0;
    case PlanStep::kHostname:
      return sethostname(text, strlen(text));
    case PlanStep::kDomainname:
      return setdomainname(text, strlen(text));
    case PlanStep::kLoopbackUp:
      return LoopbackUp();
    case PlanStep::kFileOwner:
      return OwnNewFiles(static_cast<uint32_t>(step.a), static_cast<uint32_t>(step.b));
    default:
      return RunMountStep(child, step);
  }
}

const char* DetailOf(const Child& child, const PlanStepRecord& step) {
  if (step.step == static_cast<uint16_t>(PlanStep::kSysctl)) return child.plan.text(step, 0);
  const char* path = child.plan.text(step, 1);
  return path[0] != '\0' ? path : child.plan.text(step, 0);
}

}  // namespace

void FailChild(const Child& child, PlanStep step, int error, const char* detail) {
  SyncMessage message = {};
  message.kind = SyncKind::kFailure;
  message.report.step = static_cast<uint32_t>(step);
  message.report.error = error;
  CopyText(message.report.detail, sizeof(message.report.detail), detail);
  SendPacket(child.sync, &message, sizeof(message), nullptr, 0, 0);
  _exit(127);
}

void RunChild(Child* child) {
  CloseOthers(*child);
  if (PlaceStdio(*child) != 0) FailChild(*child, PlanStep::kStdio, errno, "");
  umask(0);
  bool waited = false;
  bool new_session = false;
  for (uint32_t i = 0; i < child->plan.step_count(); ++i) {
    const PlanStepRecord& step = child->plan.step(i);
    if (!new_session && step.step > static_cast<uint16_t>(PlanStep::kSecondClone)) {
      setsid();
      ResetSignals();
      new_session = true;
      if (child->gate) {
        Tell(*child, SyncKind::kGate, 0, -1);
        AwaitGo(*child);
      }
    }
    if (!waited && step.step > static_cast<uint16_t>(PlanStep::kHold)) {
      if (child->plan.Find(PlanStep::kUmask) == nullptr) umask(022);
      Tell(*child, SyncKind::kReady, 0, -1);
      AwaitStart(child);
      waited = true;
    }
    if (step.step == child->plan.header().failing_step) {
      FailChild(*child, static_cast<PlanStep>(step.step), EIO, DetailOf(*child, step));
    }
    if (RunStep(child, step) != 0 && (step.flags & kPlanOptional) == 0) {
      FailChild(*child, static_cast<PlanStep>(step.step), errno, DetailOf(*child, step));
    }
  }
  FailChild(*child, PlanStep::kExec, EINVAL, "");
}

}  // namespace slipway::agent
