#ifndef SERVICES_LOG_STORE_SEALER_H_
#define SERVICES_LOG_STORE_SEALER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "services/log/store/container_log.h"

namespace slipway::log {

// Compresses segments one by one on a thread that runs when nothing else wants the processor. It
// takes no lock that others wait for: who gives it work also enters the result. Thread-safe.
class Sealer {
 public:
  Sealer();
  // Waits for what is under way.
  ~Sealer();

  struct Result {
    std::shared_ptr<ContainerLog> log;
    uint64_t segment = 0;
    absl::StatusOr<uint64_t> sealed_bytes;
  };
  bool idle() const;
  // Only while it is idle.
  void Begin(std::shared_ptr<ContainerLog> log, uint64_t segment);
  std::optional<Result> TakeResult();

 private:
  void Run();

  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<ContainerLog> log_ ABSL_GUARDED_BY(mu_);
  uint64_t segment_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<Result> result_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_SEALER_H_
