#ifndef IMAGE_SERVICE_DOMAIN_WORKER_POOL_H_
#define IMAGE_SERVICE_DOMAIN_WORKER_POOL_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipway::image {

// A bounded number of threads for jobs that block, started when first needed. Thread-safe. The
// destructor runs what is queued and joins.
class WorkerPool {
 public:
  WorkerPool(size_t max_threads, size_t max_queued)
      : max_threads_(max_threads), max_queued_(max_queued) {}
  ~WorkerPool();

  // False when there are too many jobs already.
  bool TrySchedule(std::function<void()> job);

 private:
  void Run();

  const size_t max_threads_;
  const size_t max_queued_;
  absl::Mutex mu_;
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  size_t idle_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_WORKER_POOL_H_
