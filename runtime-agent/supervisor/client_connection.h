#ifndef RUNTIME_AGENT_SUPERVISOR_CLIENT_CONNECTION_H_
#define RUNTIME_AGENT_SUPERVISOR_CLIENT_CONNECTION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/os/unique_fd.h"
#include "runtime-agent/supervisor/client.h"
#include "runtime-agent/supervisor/wire.h"

// The part of SupervisorClient that moves packets: one reader thread that connects, resends after a
// loss of the connection, dispatches replies by request_id and times requests out.
namespace slipway::agent {

struct SupervisorReply {
  WireReply reply;
  std::string extra;  // what came behind it
  std::vector<UniqueFd> fds;
};

EntryInfo ToEntryInfo(const WireEntry& entry);

// Thread-safe. Callbacks come from the reader thread.
class SupervisorClient::Connection {
 public:
  using Done = std::function<void(absl::StatusOr<SupervisorReply>)>;

  explicit Connection(Options options);
  ~Connection();

  // Starts the reader; false when there is no connection after the timeout.
  bool Start();
  void Stop();

  // Sends `request` (its id is filled in here) until it is answered or its time is over.
  void Call(WireRequest request, std::vector<UniqueFd> fds, absl::Duration timeout, Done done);
  absl::StatusOr<SupervisorReply> CallAndWait(const WireRequest& request, std::vector<UniqueFd> fds,
                                              absl::Duration timeout);
  // Without a reply. What cannot be sent now is sent after the next connection.
  void Ack(const std::string& id, uint64_t offset);

  absl::StatusOr<SlotStatus> GetSlot(uint32_t slot, uint64_t incarnation) const;

 private:
  struct Pending {
    WireRequest request;
    std::vector<UniqueFd> fds;
    absl::Time deadline;
    Done done;
    bool sent = false;
  };
  struct Mapping;

  void Run();
  bool TryConnect();
  bool Handshake();
  // In the reader thread, before the connection is given to callers.
  absl::StatusOr<SupervisorReply> Exchange(const WireRequest& request);
  // False when the connection is lost. `wanted`: stops at the reply with this id.
  bool ReceiveOne(uint64_t wanted, SupervisorReply* found);
  void Dispatch(SupervisorReply reply);
  void Expire();
  void Flush();
  void Serve();
  int PollTimeoutMs() const;
  bool Send(const Pending& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool SendAck(const std::string& id, uint64_t offset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  std::thread reader_;
  UniqueFd wake_;
  UniqueFd socket_;    // made and closed by the reader under mutex_
  UniqueFd progress_;  // eventfd of the supervisor; reader only

  mutable absl::Mutex mutex_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, Pending> pending_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> unsent_acks_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Mapping> mapping_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_CLIENT_CONNECTION_H_
