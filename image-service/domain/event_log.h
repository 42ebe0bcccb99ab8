#ifndef IMAGE_SERVICE_DOMAIN_EVENT_LOG_H_
#define IMAGE_SERVICE_DOMAIN_EVENT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "image-service/ports/metadata_store.h"

namespace slipway::image {

// The newest events, in memory; the store has the same ones. Sequence numbers start at 1 and have
// no gaps. Thread-safe for readers and watchers; staging and publishing is done by one thread at a
// time.
class EventLog {
 public:
  static constexpr size_t kMaxEvents = 1024;

  explicit EventLog(std::vector<ImageEvent> events = {});

  // Adds an event to `batch`, and the removal of one that is too old. It is seen by watchers after
  // Publish, once the batch is on disk.
  void Stage(MetadataBatch& batch, absl::string_view action, absl::string_view actor_id,
             std::map<std::string, std::string> attributes) const;
  void Publish(const MetadataBatch& batch);

  uint64_t last_sequence() const;
  // At most `limit` events after `sequence`, oldest first.
  std::vector<ImageEvent> After(uint64_t sequence, size_t limit) const;

  // `wake` is called after each Publish until Unwatch returns; it must not call back into the log's
  // Watch or Unwatch.
  int Watch(std::function<void()> wake);
  void Unwatch(int watcher);

 private:
  mutable absl::Mutex mu_;
  std::deque<ImageEvent> events_ ABSL_GUARDED_BY(mu_);
  uint64_t last_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Mutex watch_mu_;
  std::map<int, std::function<void()>> watchers_ ABSL_GUARDED_BY(watch_mu_);
  int next_watcher_ ABSL_GUARDED_BY(watch_mu_) = 1;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_EVENT_LOG_H_
