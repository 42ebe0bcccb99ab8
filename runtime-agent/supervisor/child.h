#ifndef RUNTIME_AGENT_SUPERVISOR_CHILD_H_
#define RUNTIME_AGENT_SUPERVISOR_CHILD_H_

#include <stdint.h>

#include "runtime-agent/supervisor/plan.h"

// What runs in the cloned process until its exec: the plan as a checklist. Nothing here allocates,
// locks or asks libc for names. Any failure ends the process after a report over `sync`.
namespace slipway::agent {

// Between child and supervisor over a SOCK_SEQPACKET pair. The supervisor answers with one byte.
enum class SyncKind : uint32_t {
  kFailure = 1,
  kProcess = 2,   // report.step: pid of the second clone; its pidfd comes along
  kTerminal = 3,  // the master of the pseudo terminal comes along
  kReady = 4,     // everything before the hold is done
  kExec = 5,      // the next thing is execve
  kGate = 6,      // namespaces and cgroups are made, nothing is mounted; waits for a byte
};

struct SyncMessage {
  SyncKind kind;
  SpawnFailureReport report;
};

struct Child {
  PlanView plan;
  int sync = -1;
  int stdio[3] = {-1, -1, -1};  // -1: /dev/null (or the terminal)
  int null = -1;                // /dev/null and /proc of the host, whose paths may lead nowhere
  int proc = -1;
  // Where a root is attached for a moment to be pivoted to. Null: the mount namespace is blank
  // (blank_mounts.h), and the root comes over it.
  const char* staging = nullptr;
  int fd[kMaxPlanFds];  // the plan's descriptors
  int root = -1;        // "/", for lookups that must stay inside
  int terminal = -1;
  int device_null = -1;  // the container's /dev/null, and what its masked directories show
  int mask = -1;
  int init_binary = -1;  // what becomes the process in front, with kPlanInit
  // Of slipway-runtime, whose process ends while this one is held. `gate`: stop also before the
  // first mount. `hold`: a listening socket; who connects to it lets the process go on, and takes
  // the place of the other end of `sync`.
  bool gate = false;
  int hold = -1;
};

[[noreturn]] void RunChild(Child* child);

// Reports the step and errno and ends the process.
[[noreturn]] void FailChild(const Child& child, PlanStep step, int error, const char* detail);

// Steps of child_mounts.cc and child_identity.cc: 0, or -1 with errno.
int ChangeRoot(Child* child, const PlanStepRecord& step);
int SetPropagation(uint64_t flags);
int MountFilesystem(Child* child, const PlanStepRecord& step);
int BindTree(Child* child, const PlanStepRecord& step);
int MakeDevice(Child* child, const PlanStepRecord& step);
int MakeSymlink(Child* child, const PlanStepRecord& step);
int MakePath(Child* child, const char* path, uint32_t mode);
int ReadonlyPath(Child* child, const PlanStepRecord& step);
int MaskPath(Child* child, const PlanStepRecord& step);
int ReadonlyRoot();
int BindConsole(Child* child);
int WriteSysctl(Child* child, const PlanStepRecord& step);
int EnterDirectory(Child* child, const char* path);

int DropBounding(uint64_t remaining);
int SetUser(Child* child, const PlanStepRecord& step);
int SetCapabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable);
int RaiseAmbient(uint64_t mask);
int InstallSeccomp(Child* child, const PlanStepRecord& step);
int OwnStdio(uint32_t uid);
int OwnNewFiles(uint32_t uid, uint32_t gid);

// Opens `path` below the root without leaving it, following no magic links. -1 with errno.
int OpenInside(Child* child, const char* path, uint64_t flags);
// The same for a mount target: what is missing is made, directories 0755, at the end a file 0755
// when `file`.
int OpenTarget(Child* child, const char* path, bool file);
// Copies the content of directory `from` into the empty directory `to`, owners, modes, times and
// links kept. Consumes neither.
int CopyTree(int from, int to, int depth);

// child_init.cc. Returns in a new process, which is to exec the program; the calling one becomes
// its init. -1 with errno when there is no new process.
int ForkProgram(const Child& child, const char** argv, const char** envp);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_CHILD_H_
