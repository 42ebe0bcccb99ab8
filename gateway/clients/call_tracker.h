#ifndef GATEWAY_CLIENTS_CALL_TRACKER_H_
#define GATEWAY_CLIENTS_CALL_TRACKER_H_

#include <grpcpp/client_context.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace slipway::gateway {

// The calls under way, so that a stopping gateway can end them before its event loop goes.
// Thread-safe.
class CallTracker {
 public:
  void Add(grpc::ClientContext* context) {
    absl::MutexLock lock(&mu_);
    calls_.insert(context);
    if (stopping_) context->TryCancel();
  }

  void Remove(grpc::ClientContext* context) {
    absl::MutexLock lock(&mu_);
    calls_.erase(context);
  }

  // Cancels every call, now and later; false when some did not end in time.
  bool Drain(absl::Duration patience) {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    for (grpc::ClientContext* context : calls_) context->TryCancel();
    return mu_.AwaitWithTimeout(absl::Condition(this, &CallTracker::Empty), patience);
  }

 private:
  bool Empty() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return calls_.empty(); }

  absl::Mutex mu_;
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

// One call's entry. Movable by pointer only; thread-safe.
class TrackedContext {
 public:
  explicit TrackedContext(CallTracker& tracker) : tracker_(tracker) { tracker_.Add(&context_); }
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
