#ifndef RUNTIME_AGENT_SUPERVISOR_PLAN_H_
#define RUNTIME_AGENT_SUPERVISOR_PLAN_H_

#include <cstddef>
#include <cstdint>

// The flat, position-independent description of one process to start, container or exec. Built by
// PlanBuilder in the agent, executed by the supervisor's child between clone and exec, which is why
// reading it needs no allocation. Layout: PlanHeader, PlanStepRecord[step_count], then a heap of
// NUL-terminated strings and blobs that ends in a NUL. Offsets count from the start of the plan.
namespace slipway::agent {

inline constexpr uint32_t kPlanMagic = 0x314e4c50;  // "PLN1"
inline constexpr uint32_t kPlanVersion = 1;
inline constexpr uint32_t kMaxPlanSteps = 4096;
inline constexpr uint32_t kMaxPlanFds = 249;  // kMaxWireFds without the plan itself
inline constexpr uint32_t kMaxArguments = 65536;

// Steps in the order in which they run: the upper byte is the phase. Steps of one phase keep the
// order in which they were added. Fields that are not named are zero.
enum class PlanStep : uint16_t {
  kNone = 0,
  // Before the second clone: still in the supervisor's mount namespace.
  kJoinCgroup = 0x0100,      // fd: an open cgroup.procs (v1, or v2 of an existing group)
  kOomScoreAdj = 0x0200,     // a: value as int64
  kJoinNamespace = 0x0300,   // fd, a: CLONE_NEW* (several for a pidfd, Linux 5.8)
  kUnshare = 0x0400,         // a: CLONE_NEW* (NEWCGROUP belongs here, after the cgroups are joined)
  kSecondClone = 0x0500,     // none; present when a pid namespace was joined
  kSessionKeyring = 0x0600,  // s0: name
  kHostname = 0x0700,        // s0
  kDomainname = 0x0701,      // s0
  kLoopbackUp = 0x0800,      // none
  kFileOwner = 0x0880,       // a: uid, b: gid of what the following steps make
  kSetPropagation = 0x0900,  // a: MS_* for "/" (MS_REC | MS_SLAVE...)
  kRoot = 0x0a00,            // fd: detached mount
  // From here on paths are inside the new root.
  kMount = 0x0b00,    // s0 type, s1 target, s2 data, s3 source, a: MS_*, c: propagation
  kBind = 0x0b01,     // fd: detached mount, s1 target, a/b: MOUNT_ATTR_* set/clear,
                      // c: propagation MS_*, with MS_REC for the whole tree, flags: PlanStepFlags
  kDevice = 0x0b02,   // s1 path, a: type and mode, b: makedev(), c: uid << 32 | gid
  kSymlink = 0x0b03,  // s0 what it points to, s1 path
  kMakeDirectory = 0x0b04,         // s1 path, a: mode
  kTty = 0x0c00,                   // a: rows << 16 | columns, flags kPlanConsole
  kSysctl = 0x0d00,                // s0: path below /proc/sys with slashes, s1: value
  kWorkingDirectoryMake = 0x0e00,  // s1: path
  kReadonlyPath = 0x0f00,          // s1
  kMaskPath = 0x0f01,              // s1
  kReadonlyRoot = 0x1000,          // none
  kRootPropagation = 0x1001,       // a: MS_* of "/" as the container sees it
  kRlimit = 0x1100,                // a: resource, b: soft, c: hard
  kUmask = 0x1200,                 // a
  // -- held here until START --
  kHold = 0x1300,
  kSeccompEarly = 0x1400,      // (reserved)
  kHostStdioOwner = 0x1401,    // a: uid on the host that gets the pipes or the terminal
  kUserNamespace = 0x1402,     // fd; from here on ids are those inside of it
  kBoundingSet = 0x1500,       // a: mask of what remains
  kStdioOwner = 0x1600,        // a: uid that gets the pipes or the terminal
  kUser = 0x1700,              // a: uid, b: gid, blob: supplementary gids (uint32)
  kWorkingDirectory = 0x1800,  // s1
  kNoNewPrivileges = 0x1900,
  kSeccomp = 0x1a00,       // blob: struct sock_filter[], a: SECCOMP_FILTER_FLAG_*
  kCapabilities = 0x1b00,  // a: effective, b: permitted, c: inheritable
  kAmbient = 0x1c00,       // a: mask
  kExec = 0x1d00,          // blob: NUL-terminated arguments, a: how many; fd: the program, or -1
  kEnvironment = 0x1e00,   // blob: NUL-terminated NAME=value, a: how many. Data of kExec
  // Not in plans: steps of the supervisor itself that a failure may name.
  kReadPlan = 0xff00,
  kMakeStdio = 0xff01,
  kClone = 0xff02,
  kKeeper = 0xff03,
  kSync = 0xff04,
  kStdio = 0xff05,
};

enum PlanStepFlags : uint16_t {
  kPlanRecursive = 1,  // kBind: attributes of the whole tree
  kPlanFile = 2,       // kBind: the target is made as a file, not a directory
  kPlanConsole = 4,    // kTty: bind the terminal over /dev/console
  kPlanCopyUp = 8,  // kMount: what the image has at the target is copied into the new file system
  kPlanKeepMode = 32,  // kMount: the new root gets the mode of the directory that it covers
  // kMount: the new file system is the working directory of the steps that follow.
  kPlanEnter = 64,
  // kMount, kDevice, kSymlink: what is made, or mounted over, is an entry of the working directory,
  // where nobody but this plan has made anything: its name leads nowhere else.
  kPlanHere = 128,
  kPlanOptional = 16,  // kMount, kBind, kSysctl, kSessionKeyring, kOomScoreAdj: failure is ignored
};

enum PlanFlags : uint32_t {
  kPlanStdinPipe = 1,  // a pipe whose write end the supervisor keeps; else /dev/null
  kPlanHasTty = 2,
  kPlanPassedStdio = 4,  // stdio_fd are descriptors of the plan (-1: /dev/null); no spool
  kPlanInit = 8,         // a process in front that reaps orphans and passes signals on (init.h)
};

struct PlanStepRecord {
  uint16_t step;  // PlanStep
  uint16_t flags;
  int32_t fd;  // index into the plan's descriptors, -1 for none
  uint64_t a;
  uint64_t b;
  uint64_t c;
  uint32_t s[4];  // offsets of strings, 0 for none
  uint32_t blob;  // offset
  uint32_t blob_size;
};
static_assert(sizeof(PlanStepRecord) == 56);

struct PlanHeader {
  uint32_t magic;
  uint32_t version;
  uint32_t size_bytes;  // of the whole plan
  uint32_t flags;       // PlanFlags
  uint32_t step_count;
  uint32_t fd_count;
  uint64_t clone_flags;   // CLONE_NEW* of the first clone
  int32_t cgroup_fd;      // directory of a v2 group for CLONE_INTO_CGROUP, or -1
  int32_t spool_fd;       // -1: output goes nowhere but to a terminal or to passed descriptors
  int32_t stdio_fd[3];    // with kPlanPassedStdio
  uint32_t spool_policy;  // SpoolFullPolicy
  uint64_t spool_offset;  // where the first record goes; what lies behind is cut off
  uint64_t spool_acked;
  uint64_t spool_capacity;
  uint32_t failing_step;  // PlanStep that fails with EIO instead of being done; 0 but in tests
  uint32_t reserved[3];
};
static_assert(sizeof(PlanHeader) == 96);

// A bounds-checked look at a plan. Does not own the bytes. After Parse() returned true every
// accessor is safe whatever the bytes are, as long as they do not change (hence the sealed memfd).
class PlanView {
 public:
  // False when anything about the plan is malformed. `fd_count`: descriptors that came with it.
  bool Parse(const void* data, size_t size, uint32_t fd_count);

  const PlanHeader& header() const { return *header_; }
  uint32_t step_count() const { return header_->step_count; }
  const PlanStepRecord& step(uint32_t index) const { return steps_[index]; }
  // The string of a step; "" when it has none.
  const char* text(const PlanStepRecord& step, int which) const {
    return step.s[which] == 0 ? "" : base_ + step.s[which];
  }
  const char* blob(const PlanStepRecord& step) const { return base_ + step.blob; }
  // The first step of that kind or null.
  const PlanStepRecord* Find(PlanStep step) const;

 private:
  bool StepIsValid(const PlanStepRecord& step) const;
  bool RefersToFd(int32_t fd) const;

  const char* base_ = nullptr;
  const PlanHeader* header_ = nullptr;
  const PlanStepRecord* steps_ = nullptr;
};

// "mount", "user", …: the name of a step in messages.
const char* PlanStepName(PlanStep step);

// What a process that could not reach its exec tells the supervisor, and the supervisor the client.
struct SpawnFailureReport {
  uint32_t step;  // PlanStep
  int32_t error;  // errno
  char detail[256];
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_PLAN_H_
