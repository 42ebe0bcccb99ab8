#ifndef GATEWAY_BUILDKIT_STATUS_QUEUE_H_
#define GATEWAY_BUILDKIT_STATUS_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>

#include "buildkit/control.pb.h"

namespace slipway::gateway {

// What a build tells of its progress, until its client takes it. Bounded: when the client is too
// slow, output of steps is left out, and it is said so. Used on one thread.
class StatusQueue {
 public:
  using Status = moby::buildkit::v1::StatusResponse;

  void Push(Status status);
  // Nothing more comes.
  void Close();
  bool closed() const { return closed_; }

  // Empty: nothing is there now.
  std::optional<Status> Take();
  // `wake` is called once, when there is more or the queue has been closed.
  void OnChange(std::function<void()> wake) { wake_ = std::move(wake); }

 private:
  static constexpr size_t kMaxBytes = 2 << 20;

  void Wake();

  std::deque<Status> waiting_;
  size_t bytes_ = 0;
  bool clipped_ = false;
  bool closed_ = false;
  std::function<void()> wake_;
};

}  // namespace slipway::gateway

#endif  // GATEWAY_BUILDKIT_STATUS_QUEUE_H_
