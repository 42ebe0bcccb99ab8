#ifndef IMAGE_SERVICE_RPC_BYTE_QUEUE_H_
#define IMAGE_SERVICE_RPC_BYTE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/unique_fd.h"
#include "image-service/ports/archive.h"

namespace slipway::image {

// A part of an open file.
struct FilePart {
  std::shared_ptr<const UniqueFd> file;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

// All that comes out of a pipe.
struct PipeEnd {
  UniqueFd pipe;
};

// Pieces of an upload, bytes, parts of files or pipes, between the stream that receives them and
// the thread that takes them. Bounded by the receiver: it asks for no more while there is no room.
// Thread-safe.
class ByteQueue : public ByteSource {
 public:
  static constexpr size_t kRoomBytes = 2 << 20;

  // `on_room` is called, without locks held, when there is room again after Push returned false.
  explicit ByteQueue(std::function<void()> on_room) : on_room_(std::move(on_room)) {}

  // True when more may be received at once.
  bool Push(std::string bytes);
  // What is read when it is its turn; DataLoss then where the file is shorter.
  bool Push(FilePart part);
  bool Push(PipeEnd end);
  void End();
  // The sender is gone, or sent what makes no sense: Next fails.
  void Abort(absl::Status reason = absl::CancelledError("the client went away"));

  absl::StatusOr<absl::string_view> Next() override;

 private:
  struct Piece {
    std::string bytes;
    FilePart part;  // where it has a file
    UniqueFd pipe;  // where it is one

    bool empty() const { return bytes.empty() && part.size_bytes == 0 && !pipe.ok(); }
    size_t weight() const { return bytes.size() + kPieceWeight; }
  };
  // What a piece takes beside its bytes, and more: a range of a file shall not count for nothing.
  static constexpr size_t kPieceWeight = 4 << 10;

  bool Push(Piece piece);
  absl::StatusOr<absl::string_view> NextOfFile();
  // Empty at its end.
  absl::StatusOr<absl::string_view> NextOfPipe();
  absl::Status aborted();

  const std::function<void()> on_room_;
  absl::Mutex mu_;
  std::deque<Piece> pieces_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool stalled_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status aborted_ ABSL_GUARDED_BY(mu_);
  // The consumer's.
  Piece current_;
  std::unique_ptr<char[]> buffer_;  // of what is read from files
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_BYTE_QUEUE_H_
