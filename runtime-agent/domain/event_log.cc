#include "runtime-agent/domain/event_log.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status/status_macros.h"

namespace slipway::agent {

EventLog::EventLog(RecordStore* store, std::vector<HostEvent> events)
    : store_(store),
      events_(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end())),
      last_(events_.empty() ? 0 : events_.back().sequence) {}

absl::Status EventLog::Append(HostEvent event, RecordChange change) {
  absl::MutexLock append(&append_mutex_);
  event.time_ns = absl::GetCurrentTimeNanos();
  {
    absl::MutexLock lock(&mutex_);
    event.sequence = last_ + 1;
    if (events_.size() >= kKept) change.forget_events_through = event.sequence - kKept;
  }
  change.event = &event;
  RETURN_IF_ERROR(store_->Save(change));
  absl::MutexLock lock(&mutex_);
  last_ = event.sequence;
  events_.push_back(std::move(event));
  if (events_.size() > kKept) events_.pop_front();
  for (const auto& [id, notify] : watches_) notify();
  return absl::OkStatus();
}

uint64_t EventLog::last_sequence() const {
  absl::MutexLock lock(&mutex_);
  return last_;
}

absl::StatusOr<std::vector<HostEvent>> EventLog::After(uint64_t sequence, size_t limit) const {
  absl::MutexLock lock(&mutex_);
  std::vector<HostEvent> result;
  if (sequence > last_) {
    return absl::DataLossError(
        absl::StrCat("the last event of this host is ", last_, ", not as late as ", sequence));
  }
  if (sequence == last_) return result;
  if (events_.empty() || events_.front().sequence > sequence + 1) {
    return absl::DataLossError(absl::StrCat("events after ", sequence, " are not kept any more"));
  }
  const size_t skip = sequence + 1 - events_.front().sequence;
  const size_t count = std::min(limit, events_.size() - skip);
  result.assign(events_.begin() + skip, events_.begin() + skip + count);
  return result;
}

uint64_t EventLog::Watch(std::function<void()> notify) {
  absl::MutexLock lock(&mutex_);
  watches_.emplace(next_watch_, std::move(notify));
  return next_watch_++;
}

void EventLog::Unwatch(uint64_t watch) {
  absl::MutexLock lock(&mutex_);
  watches_.erase(watch);
}

}  // namespace slipway::agent
