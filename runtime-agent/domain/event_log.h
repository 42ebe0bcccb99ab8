#ifndef RUNTIME_AGENT_DOMAIN_EVENT_LOG_H_
#define RUNTIME_AGENT_DOMAIN_EVENT_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "runtime-agent/domain/actual.h"
#include "runtime-agent/ports/record_store.h"

namespace slipway::agent {

// The host's events: numbered without gaps, saved together with the change that they tell of, the
// latest kept for watchers that come back. Thread-safe.
class EventLog {
 public:
  static constexpr size_t kKept = 8192;

  // `store` outlives the log. `events` are those it has, in order.
  EventLog(RecordStore* store, std::vector<HostEvent> events);

  // Numbers and times the event, saves it with `change`, then tells the watchers. Events become
  // visible in the order of their numbers.
  absl::Status Append(HostEvent event, RecordChange change);

  uint64_t last_sequence() const;

  // Events after `sequence`, at most `limit`. DataLoss when some of them are not kept any more.
  absl::StatusOr<std::vector<HostEvent>> After(uint64_t sequence, size_t limit) const;

  // `notify` is called after each further event until Unwatch; it must not block or call back.
  uint64_t Watch(std::function<void()> notify);
  void Unwatch(uint64_t watch);

 private:
  RecordStore* const store_;
  absl::Mutex append_mutex_;  // held over the save: numbers are given in the order of saving
  mutable absl::Mutex mutex_;
  std::deque<HostEvent> events_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_watch_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, std::function<void()>> watches_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_EVENT_LOG_H_
