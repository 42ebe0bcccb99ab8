#include "image-service/domain/event_log.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace slipway::image {

EventLog::EventLog(std::vector<ImageEvent> events) {
  absl::MutexLock lock(&mu_);
  for (ImageEvent& event : events) {
    last_ = std::max(last_, event.sequence);
    events_.push_back(std::move(event));
  }
  while (events_.size() > kMaxEvents) events_.pop_front();
}

void EventLog::Stage(MetadataBatch& batch, absl::string_view action, absl::string_view actor_id,
                     std::map<std::string, std::string> attributes) const {
  ImageEvent event;
  event.sequence = last_sequence() + batch.put_events.size() + 1;
  event.time_unix_ns = absl::GetCurrentTimeNanos();
  event.action = std::string(action);
  event.actor_id = std::string(actor_id);
  event.attributes = std::move(attributes);
  if (event.sequence > kMaxEvents) batch.delete_events_through = event.sequence - kMaxEvents;
  batch.put_events.push_back(std::move(event));
}

void EventLog::Publish(const MetadataBatch& batch) {
  if (batch.put_events.empty()) return;
  {
    absl::MutexLock lock(&mu_);
    for (const ImageEvent& event : batch.put_events) {
      events_.push_back(event);
      last_ = event.sequence;
    }
    while (events_.size() > kMaxEvents) events_.pop_front();
  }
  absl::MutexLock lock(&watch_mu_);
  for (const auto& [id, wake] : watchers_) wake();
}

uint64_t EventLog::last_sequence() const {
  absl::MutexLock lock(&mu_);
  return last_;
}

std::vector<ImageEvent> EventLog::After(uint64_t sequence, size_t limit) const {
  absl::MutexLock lock(&mu_);
  auto from = std::upper_bound(
      events_.begin(), events_.end(), sequence,
      [](uint64_t wanted, const ImageEvent& event) { return wanted < event.sequence; });
  std::vector<ImageEvent> result;
  for (; from != events_.end() && result.size() < limit; ++from) result.push_back(*from);
  return result;
}

int EventLog::Watch(std::function<void()> wake) {
  absl::MutexLock lock(&watch_mu_);
  watchers_[next_watcher_] = std::move(wake);
  return next_watcher_++;
}

void EventLog::Unwatch(int watcher) {
  absl::MutexLock lock(&watch_mu_);
  watchers_.erase(watcher);
}

}  // namespace slipway::image
