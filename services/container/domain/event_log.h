#ifndef SERVICES_CONTAINER_DOMAIN_EVENT_LOG_H_
#define SERVICES_CONTAINER_DOMAIN_EVENT_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/container/domain/executor.h"
#include "services/container/model/event.h"

namespace slipway::container {

// The newest events, in memory, in the order of their sequence numbers. A watcher keeps only a
// position here: a slow one costs nothing, and learns with DATA_LOSS that it was overtaken.
// Thread-safe.
class EventLog {
 public:
  // `kept` ascends; `executor` runs what NotifyAfter() was given, and outlives the log's use.
  EventLog(size_t maximum, std::vector<EventPtr> kept, Executor& executor);

  struct Pending {
    std::vector<EventPtr> events;
    // Sequences that have to go, so that at most `maximum` are kept; zero: none.
    uint64_t trim_first = 0;
    uint64_t trim_last = 0;
  };
  // Numbers the events. Each Begin() is followed by one Finish(), when they were written or not
  // (`written`); a number of one that was not is never seen. Later events wait for earlier ones.
  Pending Begin(std::vector<Event> events) ABSL_LOCKS_EXCLUDED(mu_);
  void Finish(const Pending& pending, bool written) ABSL_LOCKS_EXCLUDED(mu_);

  // At most `limit` events after `sequence`; none when there are none yet. DATA_LOSS names the
  // first that is kept. Zero means from the first kept.
  absl::StatusOr<std::vector<EventPtr>> Read(uint64_t sequence, size_t limit) const
      ABSL_LOCKS_EXCLUDED(mu_);

  // Calls `wake` once, when there is an event after `sequence`; false, and no call, when there is
  // one already. Cancel() with the id that was put into `id`.
  bool NotifyAfter(uint64_t sequence, std::function<void()> wake, uint64_t* id)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Cancel(uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);

  uint64_t last_sequence() const ABSL_LOCKS_EXCLUDED(mu_);
  // The sequence before the first kept event at or after the time.
  uint64_t SequenceBefore(int64_t time_unix_ns) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const size_t maximum_;
  Executor& executor_;
  mutable absl::Mutex mu_;
  std::deque<EventPtr> events_ ABSL_GUARDED_BY(mu_);
  // Begun; the value is null until it is finished, and has no event when it was not written.
  struct Slot {
    EventPtr event;
    bool finished = false;
  };
  std::map<uint64_t, Slot> begun_ ABSL_GUARDED_BY(mu_);
  uint64_t next_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t first_kept_ ABSL_GUARDED_BY(mu_) = 1;
  uint64_t published_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<uint64_t, std::function<void()>> wakes_ ABSL_GUARDED_BY(mu_);
  uint64_t next_wake_ ABSL_GUARDED_BY(mu_) = 1;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_EVENT_LOG_H_
