#ifndef GATEWAY_CLIENTS_CALL_TRACKER_H_
#define GATEWAY_CLIENTS_CALL_TRACKER_H_

#include <grpcpp/client_context.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipway::gateway {

// The calls under way, so that a stopping gateway can end them before its event loop goes.
// Thread-safe.
class CallTracker {
 public:
  // `endless`: nobody knows when the call will end.
  void Add(grpc::ClientContext* context, bool endless) {
    absl::MutexLock lock(&mu_);
    calls_.emplace(context, endless);
    if (stopping_) context->TryCancel();
  }

  void Remove(grpc::ClientContext* context) {
    absl::MutexLock lock(&mu_);
    calls_.erase(context);
  }

  // Cancels the endless calls, now and later, and the others when they have not ended within
  // `grace`; false when some have not ended `patience` later.
  bool Drain(absl::Duration grace, absl::Duration patience) {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    for (const auto& [context, endless] : calls_) {
      if (endless) context->TryCancel();
    }
    if (mu_.AwaitWithTimeout(absl::Condition(this, &CallTracker::Empty), grace)) return true;
    for (const auto& [context, endless] : calls_) context->TryCancel();
    return mu_.AwaitWithTimeout(absl::Condition(this, &CallTracker::Empty), patience);
  }

 private:
  bool Empty() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return calls_.empty(); }

  absl::Mutex mu_;
  absl::flat_hash_map<grpc::ClientContext*, bool> calls_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

// One call's entry. Movable by pointer only; thread-safe.
class TrackedContext {
 public:
  TrackedContext(CallTracker& tracker, bool endless) : tracker_(tracker) {
    tracker_.Add(&context_, endless);
  }
  ~TrackedContext() { tracker_.Remove(&context_); }
  TrackedContext(const TrackedContext&) = delete;
  TrackedContext& operator=(const TrackedContext&) = delete;

  grpc::ClientContext& get() { return context_; }

 private:
  CallTracker& tracker_;
  grpc::ClientContext context_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_CLIENTS_CALL_TRACKER_H_
