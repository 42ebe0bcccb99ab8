#ifndef SERVICES_CONTAINER_DOMAIN_EXECUTOR_H_
#define SERVICES_CONTAINER_DOMAIN_EXECUTOR_H_

#include <cstddef>
#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace slipway::container {

// Threads for work that blocks (calls to the agent, disk writes). A task goes to an idle thread, or
// to a new one up to the limit, or waits. Idle threads end after a while, all but a few.
// Thread-safe.
class Executor {
 public:
  explicit Executor(int max_threads) : max_threads_(max_threads) {}
  ~Executor() { Shutdown(); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Dropped after Shutdown().
  void Post(std::function<void()> task) ABSL_LOCKS_EXCLUDED(mu_);

  // Tasks that wait for a thread.
  size_t backlog() const ABSL_LOCKS_EXCLUDED(mu_);

  // Drops what waits, and returns when nothing runs any more. Not from a task.
  void Shutdown() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const int max_threads_;
  mutable absl::Mutex mu_;
  absl::CondVar work_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  int threads_ ABSL_GUARDED_BY(mu_) = 0;
  int idle_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_DOMAIN_EXECUTOR_H_
