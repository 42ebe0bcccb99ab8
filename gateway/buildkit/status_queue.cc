#include "gateway/buildkit/status_queue.h"

#include <utility>

namespace slipway::gateway {

void StatusQueue::Wake() {
  if (!wake_) return;
  // It may ask for the next one.
  const std::function<void()> wake = std::exchange(wake_, nullptr);
  wake();
}

void StatusQueue::Push(Status status) {
  if (closed_) return;
  const size_t size = status.ByteSizeLong();
  // Counts of bytes are told again; the state of a vertex is not.
  if (bytes_ + size > kMaxBytes && status.vertexes_size() == 0 && status.logs_size() == 0) return;
  if (bytes_ + size > kMaxBytes && status.logs_size() > 0) {
    if (std::exchange(clipped_, true)) return;
    for (moby::buildkit::v1::VertexLog& log : *status.mutable_logs()) {
      log.set_msg("\n[output clipped: the client does not keep up]\n");
    }
  } else if (status.logs_size() > 0) {
    clipped_ = false;
  }
  bytes_ += status.ByteSizeLong();
  waiting_.push_back(std::move(status));
  Wake();
}

void StatusQueue::Close() {
  closed_ = true;
  Wake();
}

std::optional<StatusQueue::Status> StatusQueue::Take() {
  if (waiting_.empty()) return std::nullopt;
  Status status = std::move(waiting_.front());
  waiting_.pop_front();
  bytes_ -= status.ByteSizeLong();
  return status;
}

}  // namespace slipway::gateway
