#ifndef IMAGE_SERVICE_RPC_BYTE_QUEUE_H_
#define IMAGE_SERVICE_RPC_BYTE_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "image-service/ports/archive.h"

namespace slipway::image {

// Pieces of an upload between the stream that receives them and the thread that takes them. Bounded
// by the receiver: it asks for no more while there is no room. Thread-safe.
class ByteQueue : public ByteSource {
 public:
  static constexpr size_t kRoomBytes = 2 << 20;

  // `on_room` is called, without locks held, when there is room again after Push returned false.
  explicit ByteQueue(std::function<void()> on_room) : on_room_(std::move(on_room)) {}

  // True when more may be received at once.
  bool Push(std::string bytes);
  void End();
  // The sender is gone: Next fails.
  void Abort();

  absl::StatusOr<absl::string_view> Next() override;

 private:
  const std::function<void()> on_room_;
  absl::Mutex mu_;
  std::deque<std::string> pieces_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool aborted_ ABSL_GUARDED_BY(mu_) = false;
  std::string current_;  // the consumer's
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_BYTE_QUEUE_H_
