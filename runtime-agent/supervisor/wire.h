#ifndef RUNTIME_AGENT_SUPERVISOR_WIRE_H_
#define RUNTIME_AGENT_SUPERVISOR_WIRE_H_

#include <cstdint>

#include "runtime-agent/supervisor/status_page.h"

// What travels over supervisor.sock (SOCK_SEQPACKET). One packet is one message of a fixed size:
// WireRequest from the client; from the supervisor one WireReply per request (in any order; found
// by request_id) and WireReply packets with op kExitEvent to subscribers. LIST and STORE_LIST
// replies have WireEntry resp. StoredFdName array behind the WireReply. Descriptors travel with
// SCM_RIGHTS in the same packet. A malformed packet closes its connection.
namespace slipway::agent {

inline constexpr uint32_t kWireMagic = 0x31505653;  // "SVP1"
inline constexpr uint16_t kWireVersion = 1;
inline constexpr int kMaxWireFds = 250;     // kernel: SCM_MAX_FD 253
inline constexpr uint32_t kListBatch = 64;  // entries of one LIST reply
inline constexpr uint32_t kMaxPlanBytes = 8u << 20;
inline constexpr int kMaxConnections = 32;

enum class WireOp : uint16_t {
  kHello = 1,       // flags: kHelloSubscribe. Reply: pids; fds: status page, [eventfd]
  kList = 2,        // arg0: first slot. Reply: entries, arg0: next slot or 0
  kSpawn = 3,       // id, kind, arg0 token, flags kSpawnHold; fds: plan memfd, plan fds
  kStart = 4,       // id
  kGetFds = 5,      // id, arg0: mask of 1 << FdRole
  kCloseStdin = 6,  // id
  kForget = 7,      // id
  kAck = 8,         // id, arg0: offset; no reply when request_id is 0
  kStorePut = 9,    // id: name; fd. Replaces
  kStoreGet = 10,   // id: name
  kStoreDrop = 11,  // id: name
  kStoreList = 12,  // arg0: first index. Reply: names, arg0: next index or 0
  kStats = 13,      // Reply: arg0 entries, arg1 running, arg2 stored fds, arg3 open descriptors
  kUpgrade = 14,    // fd: the new binary. Reply precedes the exec; connections are then closed
  kShutdown = 15,   // EBUSY when a container has not exited; ends everything else
  kRestore = 16,    // id, arg0: mask of roles; fds. Ends kEntryOrphaned; else without effect
  kExitEvent = 100,
};

// Descriptors kept for an entry; in a reply they come in ascending order of the mask's bits.
enum class FdRole : uint32_t {
  kPidfd = 0,
  kStdin = 1,  // write end
  kPtyMaster = 2,
  kSpool = 3,
  kStdout = 4,  // read end
  kStderr = 5,  // read end
  kPtyPipeWrite = 6,
  kSync = 7,  // to the process before its exec
};
inline constexpr uint32_t kFdRoles = 8;
// Those that a client may ask for, and gives back with RESTORE: all but kSync.
inline constexpr uint64_t kPublicFdMask = 0x7f;
// Those that come with the reply to SPAWN and START: all but the spool, which the client has.
inline constexpr uint64_t kSpawnFdMask = 0x77;

enum WireFlags : uint32_t { kHelloSubscribe = 1, kSpawnHold = 2 };

struct WireRequest {
  uint32_t magic;
  uint16_t version;
  uint16_t op;  // WireOp
  uint64_t request_id;
  uint32_t flags;  // WireFlags
  uint32_t kind;   // EntryKind
  uint64_t arg0;
  uint64_t arg1;
  char id[kIdCapacity];  // NUL-terminated, the rest zero
};
static_assert(sizeof(WireRequest) == 168);

struct WireEntry {
  char id[kIdCapacity];
  uint32_t kind;
  uint32_t state;
  uint32_t flags;
  int32_t pid;
  int32_t wait_status;
  uint32_t slot;
  uint64_t incarnation;
  uint64_t start_time_ns;
  uint64_t exit_time_ns;
  uint64_t spool_committed;
  uint64_t spool_acked;
};
static_assert(sizeof(WireEntry) == 192);

inline constexpr uint32_t kDetailCapacity = 256;

struct WireReply {
  uint32_t magic;
  uint16_t version;
  uint16_t op;
  uint64_t request_id;
  int32_t error;     // errno, 0 for success
  uint32_t step;     // of a failed SPAWN: PlanStep
  uint64_t fd_mask;  // roles of the descriptors of SPAWN and GET_FDS
  uint32_t count;    // entries behind this struct
  uint32_t supervisor_version;
  uint64_t arg0;
  uint64_t arg1;
  uint64_t arg2;
  uint64_t arg3;
  WireEntry entry;  // of SPAWN, GET_FDS and the exit event
  char detail[kDetailCapacity];
};
static_assert(sizeof(WireReply) == 520);

inline constexpr uint32_t kMaxReplyBytes = sizeof(WireReply) + kListBatch * sizeof(WireEntry);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_WIRE_H_
