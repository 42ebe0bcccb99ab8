#ifndef SERVICES_LOG_RPC_WORKER_POOL_H_
#define SERVICES_LOG_RPC_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipway::log {

// Threads for what may wait for a disk, so that gRPC's own never do. Callers keep the queue short:
// a stream has one task at a time. Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  // Runs what is queued first.
  ~WorkerPool();

  void Schedule(std::function<void()> task);

 private:
  void Run();

  absl::Mutex mu_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_RPC_WORKER_POOL_H_
