#ifndef SERVICES_CONTAINER_CLIENTS_SYSTEM_CLOCK_H_
#define SERVICES_CONTAINER_CLIENTS_SYSTEM_CLOCK_H_

#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/container/ports/clock.h"

namespace slipway::container {

// The real time, and one thread for timers. Thread-safe.
class SystemClock : public Clock {
 public:
  SystemClock();
  ~SystemClock() override { Stop(); }

  int64_t NowUnixNs() override;
  void RunAfter(absl::Duration delay, std::function<void()> task) override ABSL_LOCKS_EXCLUDED(mu_);

  // No task runs afterwards.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  absl::CondVar changed_;
  std::multimap<absl::Time, std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace slipway::container

#endif  // SERVICES_CONTAINER_CLIENTS_SYSTEM_CLOCK_H_
