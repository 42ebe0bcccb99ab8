#include "services/log/store/sealer.h"

#include <sched.h>

#include <utility>

#include "base/os/thread.h"
#include "services/log/store/segment_file.h"

namespace slipway::log {

Sealer::Sealer() : thread_([this] { Run(); }) {}

Sealer::~Sealer() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

bool Sealer::idle() const {
  absl::MutexLock lock(&mu_);
  return log_ == nullptr && !result_.has_value();
}

void Sealer::Begin(std::shared_ptr<ContainerLog> log, uint64_t segment) {
  absl::MutexLock lock(&mu_);
  log_ = std::move(log);
  segment_ = segment;
}

std::optional<Sealer::Result> Sealer::TakeResult() {
  absl::MutexLock lock(&mu_);
  return std::exchange(result_, std::nullopt);
}

void Sealer::Run() {
  NameThread("sealer");
  const sched_param lowest = {};
  sched_setscheduler(0, SCHED_IDLE, &lowest);
  const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || log_ != nullptr;
  };
  while (true) {
    std::shared_ptr<ContainerLog> log;
    uint64_t segment = 0;
    {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&ready));
      if (stopping_) return;
      log = log_;
      segment = segment_;
    }
    auto sealed = SealSegment(log->directory(), segment);
    absl::MutexLock lock(&mu_);
    log_ = nullptr;
    result_ = Result{std::move(log), segment, std::move(sealed)};
  }
}

}  // namespace slipway::log
