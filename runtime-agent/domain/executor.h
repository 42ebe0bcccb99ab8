#ifndef RUNTIME_AGENT_DOMAIN_EXECUTOR_H_
#define RUNTIME_AGENT_DOMAIN_EXECUTOR_H_

#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipway::agent {

// A few threads for work that may block. Thread-safe. The destructor finishes what was posted and
// drops what was only scheduled.
class Executor {
 public:
  // kBackground: whoever is woken goes first.
  enum class Kind { kForeground, kBackground };
  explicit Executor(int threads, Kind kind = Kind::kForeground);
  ~Executor();

  void Post(std::function<void()> task);
  void After(absl::Duration delay, std::function<void()> task);

 private:
  void Run();

  absl::Mutex mutex_;
  absl::CondVar changed_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::multimap<absl::Time, std::function<void()>> timers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_DOMAIN_EXECUTOR_H_
