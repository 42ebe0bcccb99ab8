#ifndef RUNTIME_AGENT_SUPERVISOR_STATUS_PAGE_H_
#define RUNTIME_AGENT_SUPERVISOR_STATUS_PAGE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

// The supervisor's whole state apart from descriptors, in a file that is mapped shared: it survives
// the death of the supervisor, of the keeper, and of both at once (a supervisor that is started
// over the same run directory goes on with it), and the agent maps it read-only to follow log
// offsets without a call. Written by the supervisor; the keeper writes only exit fields of children
// it adopted. It is worth nothing after a restart of the host: hence the boot id.
//
// A reader takes a consistent look at a slot by reading `incarnation` before and after: it changes
// whenever the slot is given to another entry. Times are CLOCK_REALTIME nanoseconds.
namespace slipway::agent {

inline constexpr uint32_t kStatusMagic = 0x50545353;  // "SSTP"
inline constexpr uint32_t kStatusVersion = 2;
inline constexpr uint32_t kMaxEntries = 4096;
inline constexpr uint32_t kMaxStoredFds = 2048;
inline constexpr size_t kIdCapacity = 128;  // with the terminating NUL

enum class EntryKind : uint32_t { kContainer = 1, kExec = 2 };

enum class EntryState : uint32_t {
  kFree = 0,
  kStarting = 1,  // cloned, not yet at exec
  kCreated = 2,   // held just before exec, waits for START
  kRunning = 3,
  kExited = 4,
  kFailed = 5,  // did not reach exec; seen only for the moment until the failure is reported
};

enum EntryFlags : uint32_t {
  kEntryHold = 1,         // stop before exec until START
  kEntryTty = 2,          // has a pseudo terminal
  kEntryStdoutEnded = 4,  // end-of-stream record committed
  kEntryStderrEnded = 8,  //
  kEntryExitCollected =
      16,                   // wait_status and exit_time_ns are valid (state follows after draining)
  kEntryStatusLost = 32,    // it ended, but nobody could learn how
  kEntrySpoolBlocked = 64,  // a full spool holds the writer back at this moment
  kEntryStdinOpen = 128,    // the supervisor still holds the write end of stdin
  kEntryOrphaned = 256,     // supervisor and keeper died at once: its descriptors are to come back
  kEntryReleased = 512,     // held, and START came: it is on its way to its exec
                            // with RESTORE, and until then its end is not told
};

enum class SpoolFullPolicy : uint32_t { kBlock = 0, kDrop = 1 };

struct StatusSlot {
  std::atomic<uint32_t> state;  // EntryState; stored last when a slot is filled
  uint32_t kind;                // EntryKind
  std::atomic<uint32_t> flags;  // EntryFlags
  int32_t pid;                  // as the host sees it; 0 until it is known
  uint64_t incarnation;         // unique among all entries since the supervisor was first started
  uint64_t token;               // chosen by the client with SPAWN: makes a repeated SPAWN harmless
  uint64_t start_time_ns;       // of the exec
  uint64_t exit_time_ns;
  int32_t wait_status;  // as wait(2) gives it: WIFEXITED, WTERMSIG and so on
  uint32_t spool_policy;
  std::atomic<uint64_t> spool_committed;   // file offset behind the last whole record
  std::atomic<uint64_t> spool_acked;       // file offset up to which the agent needs nothing more
  uint64_t spool_capacity;                 // bytes that may lie between the two
  std::atomic<uint64_t> dropped_bytes[2];  // stdout, stderr: not yet told by a gap record
  std::atomic<uint64_t> dropped_chunks[2];
  std::atomic<uint64_t> total_dropped_bytes;
  int32_t helper_pid;  // first process of an exec, which ends when `pid` is known
  uint32_t reserved;
  uint64_t clone_boottime_ns;  // CLOCK_BOOTTIME about when `pid` began: tells it from a later one
  uint64_t pipe_inode[2];      // of stdout and stderr (or of what is behind the terminal); 0: none
  uint64_t reserved2;
  char id[kIdCapacity];
};
static_assert(sizeof(StatusSlot) == 288);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

struct StoredFdName {
  char name[kIdCapacity];  // empty: free
};

struct StatusPage {
  uint32_t magic;
  uint32_t version;
  uint32_t entry_count;  // kMaxEntries of the writer; stored last when the page is made
  uint32_t entry_size;   // sizeof(StatusSlot)
  std::atomic<int32_t> supervisor_pid;
  std::atomic<int32_t> keeper_pid;
  std::atomic<uint64_t> next_incarnation;
  std::atomic<uint32_t> used_entries;       // slots at and above were never used
  std::atomic<uint32_t> supervisor_starts;  // counts restarts: the first is 1
  uint64_t first_start_time_ns;
  char boot_id[40];
  uint32_t reserved[10];
  StatusSlot slot[kMaxEntries];
  StoredFdName stored[kMaxStoredFds];
};
static_assert(offsetof(StatusPage, slot) == 128);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_STATUS_PAGE_H_
