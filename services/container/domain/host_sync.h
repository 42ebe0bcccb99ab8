#ifndef SERVICES_CONTAINER_DOMAIN_HOST_SYNC_H_
#define SERVICES_CONTAINER_DOMAIN_HOST_SYNC_H_

#include <cstdint>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "services/container/domain/core.h"

namespace slipway::container {

// Which of the agent's events are part of the records: they finish out of order, and only the run
// without a gap counts. Thread-safe.
class SequenceTracker {
 public:
  void Reset(uint64_t sequence) ABSL_LOCKS_EXCLUDED(mu_);
  void Begin(uint64_t sequence) ABSL_LOCKS_EXCLUDED(mu_);
  // The sequence up to which all are finished.
  uint64_t Finish(uint64_t sequence) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  std::set<uint64_t> begun_ ABSL_GUARDED_BY(mu_);
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
};

// Keeps the records true to what one host reports, with a thread of its own: connects, compares the
// host's list with the records, finishes what a former process had begun, then follows the host's
// events; and again after each gap.
class HostSync {
 public:
  explicit HostSync(Core& core) : core_(core) {}
  ~HostSync() { Stop(); }
  HostSync(const HostSync&) = delete;
  HostSync& operator=(const HostSync&) = delete;

  void Start();
  // Whether a first comparison ended within `timeout`.
  bool WaitForFirst(absl::Duration timeout);
  void Stop();

 private:
  void Run();
  absl::Status Follow();
  // Compares once; how many containers changed meanwhile and have to be looked at again.
  absl::StatusOr<int> Compare(uint64_t* sequence);
  absl::Status CompareAll(uint64_t* sequence);
  void RemoveUnknown(const ActualList& list);
  void UndoIntents();
  void CompareImageOwners();
  void OnEvent(const AgentEvent& event);
  void Finished(uint64_t sequence);

  Core& core_;
  SequenceTracker tracker_;
  bool owners_compared_ = false;  // only the thread's
  absl::Notification first_;
  absl::Notification stop_;
  std::thread thread_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_HOST_SYNC_H_
