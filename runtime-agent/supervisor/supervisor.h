#ifndef RUNTIME_AGENT_SUPERVISOR_SUPERVISOR_H_
#define RUNTIME_AGENT_SUPERVISOR_SUPERVISOR_H_

#include <stddef.h>
#include <stdint.h>

#include "runtime-agent/supervisor/blank_mounts.h"
#include "runtime-agent/supervisor/child.h"
#include "runtime-agent/supervisor/handoff.h"
#include "runtime-agent/supervisor/keeper.h"
#include "runtime-agent/supervisor/packet.h"
#include "runtime-agent/supervisor/spool_writer.h"
#include "runtime-agent/supervisor/wire.h"

// The supervisor: one epoll loop that serves clients, starts processes, moves their output into
// spools and publishes their exits. All that must survive it is in the status page and in the
// descriptor table, which the keeper has too; what is here can be lost at any instruction.
namespace slipway::agent {

inline constexpr uint32_t kMaxRests = 1024;

class Supervisor {
 public:
  // `state` outlives it. Zero-initialised static storage is expected (unused pages stay untouched).
  int Run(ProcessState* state);

 private:
  struct Connection {
    bool used;
    bool subscribed;
    uint32_t serial;
    int fd;
    int event;  // eventfd, with subscribed
  };
  // Who waits for an entry's exec, and what cannot be found in the status page.
  struct Runtime {
    uint32_t connection_plus_one;
    uint32_t serial;
    uint64_t request_id;
    WireOp op;
    bool exec_announced;
    bool resumed;     // after a restart: whether the exec was announced is not known
    bool retry;       // a stream waits for space or for a terminal to be opened again
    uint8_t watched;  // bit per FdRole that epoll watches
    // How much its streams moved since then: a producer in a hurry is looked at less often.
    uint64_t moved_since_ns;
    uint64_t moved_bytes;
    uint64_t moved_before;  // within the time before that
    uint32_t moves;
    SpawnFailureReport* failure;
  };

  // supervisor.cc: the loop
  bool Watch(int fd, uint32_t events, uint64_t tag);
  void Dispatch(uint64_t tag, uint32_t events);
  void ReadSignals();
  void ReadKeeper();
  void BecomeKeeper();
  void SignalSubscribers();
  void Retry();
  static void OnEntryExited(void* context, uint32_t slot);
  static void OnOtherExited(void* context, int pid);

  // entries.cc: life of an entry
  void RestoreAll();
  void RestoreEntry(uint32_t slot);
  bool WatchRole(uint32_t slot, FdRole role);
  void UnwatchRole(uint32_t slot, FdRole role);
  bool Hold(uint32_t slot, uint32_t role_mask);
  void Drop(uint32_t slot, uint32_t role_mask);
  void ReadSync(uint32_t slot);
  void OnSyncMessage(uint32_t slot, const SyncMessage& message, PacketFds* fds);
  void OnSyncEnd(uint32_t slot);
  void SendGo(uint32_t slot);
  void Fail(uint32_t slot, const SpawnFailureReport& report);
  void FinishFailure(uint32_t slot);
  void OnExitCollected(uint32_t slot);
  void Free(uint32_t slot);
  void ReplyToWaiter(uint32_t slot, int error, const SpawnFailureReport* failure);

  // orphans.cc: what is left of entries when supervisor and keeper died at once
  void FindOrphan(uint32_t slot);
  int Restore(uint32_t slot, uint64_t role_mask, PacketFds* fds);

  // streams.cc: output
  SpoolStream Stream(uint32_t slot, FdRole role);
  void PumpStream(uint32_t slot, FdRole role);
  void PumpTerminal(uint32_t slot);
  void DrainAtExit(uint32_t slot);
  void EndStream(uint32_t slot, FdRole role);
  void ResumeStreams(uint32_t slot);
  void RestIfBusy(uint32_t slot, FdRole role, uint64_t moved_bytes);
  void EndRests();

  // spawn.cc
  int Spawn(uint32_t connection, const WireRequest& request, PacketFds* fds);
  int SpawnPlan(const WireRequest& request, const PlanView& plan, PacketFds* fds, uint32_t slot);
  int MakeStreams(uint32_t slot, const PlanView& plan, const PacketFds& fds, int child_ends[3]);
  int CloneChild(uint32_t slot, Child* child, const PacketFds& fds);
  void AwaitExec(uint32_t slot, uint32_t connection, const WireRequest& request);

  // requests.cc: clients
  void Accept();
  void ReadConnection(uint32_t index);
  void CloseConnection(uint32_t index);
  bool Serve(uint32_t index, const WireRequest& request, PacketFds* fds);
  int HandleEntry(uint32_t index, const WireRequest& request, PacketFds* fds, WireReply* reply);
  int HandleStore(const WireRequest& request, PacketFds* fds, WireReply* reply);
  void Hello(uint32_t index, const WireRequest& request);
  void List(uint32_t index, const WireRequest& request);
  void StoreList(uint32_t index, const WireRequest& request);
  int Start(uint32_t index, uint32_t slot, const WireRequest& request);
  void Stats(WireReply* reply);
  int Upgrade(uint32_t index, const WireRequest& request, int binary);
  int Shutdown(uint32_t index, const WireRequest& request);
  void SendReply(uint32_t index, WireReply* reply, const void* extra, size_t extra_bytes,
                 const int* fds, int fd_count);
  void SendEntryReply(uint32_t index, WireReply* reply, uint32_t slot, uint64_t fd_mask);
  void PublishExit(uint32_t slot);
  void FillEntry(uint32_t slot, WireEntry* entry) const;
  int FindSlot(const char* id) const;
  int FindStored(const char* name) const;
  bool TellKeeper(const KeeperMessage& message, const int* fds, int fd_count);

  EntryState StateOf(uint32_t slot) const {
    return static_cast<EntryState>(page_->slot[slot].state.load(std::memory_order_relaxed));
  }
  void SetState(uint32_t slot, EntryState state) {
    page_->slot[slot].state.store(static_cast<uint32_t>(state), std::memory_order_release);
  }
  int FdOf(uint32_t slot, FdRole role) const { return table_->Get(EntryHandle(slot, role)); }

  ProcessState* state_;
  StatusPage* page_;
  DescriptorTable* table_;
  int epoll_;
  int signals_;
  int null_;
  int proc_;
  BlankMounts blank_;
  bool progressed_;
  bool retry_;
  bool keeper_died_;
  bool listen_paused_;
  bool done_;
  uint32_t next_serial_;
  uint64_t next_retry_ns_;
  // Streams that are left alone until then, so that their pipes fill.
  struct Rest {
    uint32_t slot;
    FdRole role;
    uint64_t incarnation;
  };
  Rest rests_[kMaxRests];
  uint32_t rest_count_;
  uint64_t rest_until_ns_;
  Connection connections_[kMaxConnections];
  Runtime runtime_[kMaxEntries];
};

inline constexpr uint32_t RoleBit(FdRole role) { return 1u << static_cast<uint32_t>(role); }

// What an epoll event is about: the kind in the upper half, an index or handle in the lower.
enum class EventTag : uint32_t { kListen, kSignals, kKeeper, kConnection, kEntry };
inline constexpr uint64_t MakeTag(EventTag tag, uint32_t value) {
  return static_cast<uint64_t>(tag) << 32 | value;
}

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_SUPERVISOR_H_
