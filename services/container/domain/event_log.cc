#include "services/container/domain/event_log.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipway::container {

EventLog::EventLog(size_t maximum, std::vector<EventPtr> kept, Executor& executor)
    : maximum_(maximum), executor_(executor), events_(kept.begin(), kept.end()) {
  if (events_.empty()) return;
  first_kept_ = events_.front()->sequence;
  published_ = events_.back()->sequence;
  next_ = published_ + 1;
}

EventLog::Pending EventLog::Begin(std::vector<Event> events) {
  Pending pending;
  if (events.empty()) return pending;
  absl::MutexLock lock(&mu_);
  const uint64_t first = next_;
  for (Event& event : events) {
    event.sequence = next_++;
    pending.events.push_back(std::make_shared<const Event>(std::move(event)));
    begun_[pending.events.back()->sequence] = Slot{pending.events.back(), false};
  }
  if (next_ - 1 > maximum_) {
    pending.trim_last = next_ - 1 - maximum_;
    pending.trim_first = first > maximum_ ? first - maximum_ : 1;
  }
  return pending;
}

void EventLog::Finish(const Pending& pending, bool written) {
  if (pending.events.empty()) return;
  std::vector<std::function<void()>> wakes;
  {
    absl::MutexLock lock(&mu_);
    for (const EventPtr& event : pending.events) {
      Slot& slot = begun_[event->sequence];
      slot.finished = true;
      if (!written) slot.event = nullptr;
    }
    bool more = false;
    while (!begun_.empty() && begun_.begin()->second.finished) {
      published_ = begun_.begin()->first;
      if (begun_.begin()->second.event != nullptr) {
        events_.push_back(std::move(begun_.begin()->second.event));
        more = true;
      }
      begun_.erase(begun_.begin());
    }
    while (events_.size() > maximum_) {
      first_kept_ = events_.front()->sequence + 1;
      events_.pop_front();
    }
    if (more) {
      for (auto& [id, wake] : wakes_) wakes.push_back(std::move(wake));
      wakes_.clear();
    }
  }
  if (wakes.empty()) return;
  // The writer does not pay for the watchers.
  executor_.Post([wakes = std::move(wakes)] {
    for (const std::function<void()>& wake : wakes) wake();
  });
}

absl::StatusOr<std::vector<EventPtr>> EventLog::Read(uint64_t sequence, size_t limit) const {
  absl::MutexLock lock(&mu_);
  if (sequence != 0 && sequence + 1 < first_kept_) {
    return absl::DataLossError(absl::StrCat("events after ", sequence,
                                            " are not kept any more; the first that is kept has "
                                            "sequence ",
                                            first_kept_));
  }
  const auto first = std::upper_bound(
      events_.begin(), events_.end(), sequence,
      [](uint64_t after, const EventPtr& event) { return after < event->sequence; });
  const size_t count = std::min<size_t>(limit, static_cast<size_t>(events_.end() - first));
  return std::vector<EventPtr>(first, first + static_cast<std::ptrdiff_t>(count));
}

bool EventLog::NotifyAfter(uint64_t sequence, std::function<void()> wake, uint64_t* id) {
  absl::MutexLock lock(&mu_);
  if (!events_.empty() && events_.back()->sequence > sequence) return false;
  *id = next_wake_++;
  wakes_[*id] = std::move(wake);
  return true;
}

void EventLog::Cancel(uint64_t id) {
  std::function<void()> dropped;
  absl::MutexLock lock(&mu_);
  const auto found = wakes_.find(id);
  if (found == wakes_.end()) return;
  dropped = std::move(found->second);
  wakes_.erase(found);
}

uint64_t EventLog::last_sequence() const {
  absl::MutexLock lock(&mu_);
  return published_;
}

uint64_t EventLog::SequenceBefore(int64_t time_unix_ns) const {
  absl::MutexLock lock(&mu_);
  for (const EventPtr& event : events_) {
    if (event->time_unix_ns >= time_unix_ns) return event->sequence - 1;
  }
  return published_;
}

}  // namespace slipway::container
