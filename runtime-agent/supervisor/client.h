#ifndef RUNTIME_AGENT_SUPERVISOR_CLIENT_H_
#define RUNTIME_AGENT_SUPERVISOR_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/supervisor/plan.h"
#include "runtime-agent/supervisor/plan_builder.h"
#include "runtime-agent/supervisor/status_page.h"

// The agent's side of the supervisor's socket.
namespace slipway::agent {

// An entry as the supervisor knows it. Times are CLOCK_REALTIME nanoseconds.
struct EntryInfo {
  std::string id;
  EntryKind kind = EntryKind::kContainer;
  EntryState state = EntryState::kFree;
  uint32_t flags = 0;  // EntryFlags
  int pid = 0;
  int wait_status = 0;  // as wait(2) gives it; valid in state kExited
  uint32_t slot = 0;
  uint64_t incarnation = 0;
  uint64_t start_time_ns = 0;
  uint64_t exit_time_ns = 0;
  uint64_t spool_committed = 0;
  uint64_t spool_acked = 0;

  // 0-255, 128 + n for a process that signal n ended, as Docker and shells count.
  int ExitCode() const;
};

// Descriptors of an entry; those that it does not have are not ok().
struct EntryFds {
  UniqueFd pidfd;
  UniqueFd stdin_write;
  UniqueFd pty_master;
  UniqueFd spool;
  UniqueFd stdout_read;  // with a terminal: of the pipe between it and the spool
  UniqueFd stderr_read;
  UniqueFd pty_pipe_write;
};

struct SpawnRequest {
  std::string id;  // 1 to 127 bytes, unique among containers and execs
  EntryKind kind = EntryKind::kContainer;
  bool hold = false;  // stop just before exec, in state kCreated, until Start()
  Plan plan;
};

struct SpawnResult {
  EntryInfo entry;
  EntryFds fds;  // all but the spool
};

// Why a process did not come to its exec. Attached to the Status of Spawn().
struct SpawnFailure {
  PlanStep step = PlanStep::kNone;
  int error = 0;  // errno: of step kExec ENOENT means not found along PATH, EACCES not executable
  std::string detail;
};
std::optional<SpawnFailure> GetSpawnFailure(const absl::Status& status);

// What a follower of a log needs, read from shared memory.
struct SlotStatus {
  EntryState state = EntryState::kFree;
  uint32_t flags = 0;
  uint64_t spool_committed = 0;
  uint64_t spool_acked = 0;
  uint64_t pipe_inode[2] = {};  // of stdout's and stderr's pipe; 0: none
};

struct SupervisorStats {
  int supervisor_pid = 0;
  int keeper_pid = 0;
  uint64_t supervisor_starts = 0;
  uint64_t entries = 0;
  uint64_t running = 0;
  uint64_t stored_fds = 0;
  uint64_t open_fds = 0;
};

// Talks to one supervisor over one connection. When the supervisor is restarted or upgraded it
// reconnects by itself, sends what had no answer again (every operation may be repeated safely) and
// calls on_resync with the list of entries: nothing is lost but the time that takes.
//
// Thread-safe. Callbacks come from the reader thread, one at a time; they must not block and must
// not call the synchronous methods. Errors: DeadlineExceeded, Unavailable when there is no
// supervisor for longer than the deadline, NotFound for an unknown id or name, otherwise the errno
// that the supervisor met (ErrnoStatus).
class SupervisorClient {
 public:
  struct Options {
    std::string socket_path;
    absl::Duration connect_timeout = absl::Seconds(5);
    // A process ended and all it had written before is committed to its spool. May come again for
    // the same entry after a reconnection (compare incarnations).
    std::function<void(const EntryInfo&)> on_exit;
    // Some spool grew or some stream ended: look at the slots of interest with GetSlot().
    std::function<void()> on_progress;
    // After the first connection and after each further one.
    std::function<void(const std::vector<EntryInfo>&)> on_resync;
    // Nobody listens any more: supervisor and keeper died together. Starts them again; unlike the
    // others it may block, and is called again while nobody listens.
    std::function<void()> revive;
  };

  static absl::StatusOr<std::unique_ptr<SupervisorClient>> Connect(Options options);
  ~SupervisorClient();
  SupervisorClient(const SupervisorClient&) = delete;
  SupervisorClient& operator=(const SupervisorClient&) = delete;

  // Every call fails from now on, and no callback comes any more.
  void Stop();

  // Returns when the exec succeeded (hold: when everything before it did).
  absl::StatusOr<SpawnResult> Spawn(SpawnRequest request, absl::Duration timeout);
  // The callback comes from the reader thread, exactly once.
  void SpawnAsync(SpawnRequest request, absl::Duration timeout,
                  std::function<void(absl::StatusOr<SpawnResult>)> done);
  // Lets a held process go on to its exec; returns when that succeeded.
  absl::StatusOr<SpawnResult> Start(absl::string_view id, absl::Duration timeout);

  absl::StatusOr<std::vector<EntryInfo>> List(absl::Duration timeout);
  absl::StatusOr<EntryFds> GetFds(absl::string_view id, absl::Duration timeout);
  // Gives an entry of kEntryOrphaned what is left of its descriptors; those that are not ok() are
  // gone for good. Its exit is told only after this. OK for any other entry, without effect.
  absl::Status Restore(absl::string_view id, EntryFds fds, absl::Duration timeout);
  absl::Status CloseStdin(absl::string_view id, absl::Duration timeout);
  // Drops an entry whose exit has been saved. FailedPrecondition while it has not exited; OK when
  // there is none. Processes that still hold its pipes get SIGPIPE from then on.
  absl::Status Forget(absl::string_view id, absl::Duration timeout);
  // The spool up to `offset` is not needed any more. Does not wait for an answer.
  absl::Status Ack(absl::string_view id, uint64_t offset);

  // Descriptors that outlive the agent, by name. Put replaces.
  absl::Status StorePut(absl::string_view name, int fd, absl::Duration timeout);
  absl::StatusOr<UniqueFd> StoreGet(absl::string_view name, absl::Duration timeout);
  // OK when there is none.
  absl::Status StoreDrop(absl::string_view name, absl::Duration timeout);
  absl::StatusOr<std::vector<std::string>> StoreList(absl::Duration timeout);

  absl::StatusOr<SupervisorStats> Stats(absl::Duration timeout);
  // Replaces the running supervisor and keeper by the binary at `path`, containers untouched.
  absl::Status Upgrade(const std::string& path, absl::Duration timeout);
  // Ends supervisor and keeper, and execs. FailedPrecondition while a container has not exited.
  absl::Status Shutdown(absl::Duration timeout);

  // From shared memory, without a call. NotFound when the slot belongs to another entry by now.
  absl::StatusOr<SlotStatus> GetSlot(uint32_t slot, uint64_t incarnation) const;

 private:
  class Connection;
  explicit SupervisorClient(std::shared_ptr<Connection> connection);
  std::shared_ptr<Connection> connection_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_CLIENT_H_
