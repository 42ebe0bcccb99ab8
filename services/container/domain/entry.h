#ifndef SERVICES_CONTAINER_DOMAIN_ENTRY_H_
#define SERVICES_CONTAINER_DOMAIN_ENTRY_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/executor.h"
#include "services/container/model/container.h"
#include "services/container/ports/observer.h"

namespace slipway::container {

enum class WaitCondition { kNotRunning, kNextExit, kRemoved };

struct WaitOutcome {
  int32_t exit_code = 0;
  std::string error;
};
using WaitCallback = std::function<void(const WaitOutcome&)>;

// One container in memory: its newest snapshot, who waits for it, and the queue of its operations.
// An operation may block; those of one container run one after the other, each on some thread of
// the executor, and hold no lock meanwhile. Thread-safe, except `pending`, which belongs to the
// operations.
class Entry : public std::enable_shared_from_this<Entry> {
 public:
  // What a new snapshot means to those who wait.
  enum class Fire { kNothing, kNoStart, kExit, kRemoved };

  Entry(ContainerPtr container, Executor& executor, Observer& observer);
  ~Entry();

  ContainerPtr snapshot() const ABSL_LOCKS_EXCLUDED(mu_);
  // Grows with every Set().
  uint64_t version() const ABSL_LOCKS_EXCLUDED(mu_);
  bool removed() const ABSL_LOCKS_EXCLUDED(mu_);

  // Only from an operation, and before the first one.
  void Set(ContainerPtr next, Fire fire) ABSL_LOCKS_EXCLUDED(mu_);

  // Queues an operation.
  void Post(std::function<void()> operation) ABSL_LOCKS_EXCLUDED(queue_mu_);

  // Calls `callback` once, from here or later from another thread: it must not block. NOT_FOUND
  // once the container is removed. The id is for CancelWait().
  absl::StatusOr<uint64_t> Wait(WaitCondition condition, WaitCallback callback)
      ABSL_LOCKS_EXCLUDED(mu_);
  void CancelWait(uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);

  struct Pending {
    std::vector<std::function<void(absl::Status)>> restart_done;
    std::vector<std::function<void(absl::Status)>> remove_done;
    // Which timer still counts: those with an older number do nothing.
    uint64_t restart_timer = 0;
    uint64_t stop_timer = 0;
    // Which series of health probes still counts.
    uint64_t health_series = 0;
    uint64_t burial_timer = 0;
    // The present run's lack of memory was told already.
    bool out_of_memory = false;
  };
  Pending pending;

 private:
  struct Waiter {
    uint64_t id = 0;
    WaitCondition condition = WaitCondition::kNotRunning;
    WaitCallback callback;
  };

  void RunQueue() ABSL_LOCKS_EXCLUDED(queue_mu_);

  Executor& executor_;
  Observer& observer_;
  mutable absl::Mutex mu_;
  ContainerPtr container_ ABSL_GUARDED_BY(mu_);
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;
  bool removed_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mu_);
  uint64_t next_waiter_ ABSL_GUARDED_BY(mu_) = 1;

  absl::Mutex queue_mu_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(queue_mu_);
  bool busy_ ABSL_GUARDED_BY(queue_mu_) = false;
};

using EntryPtr = std::shared_ptr<Entry>;

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_ENTRY_H_
