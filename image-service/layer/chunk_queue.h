#ifndef IMAGE_SERVICE_LAYER_CHUNK_QUEUE_H_
#define IMAGE_SERVICE_LAYER_CHUNK_QUEUE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"

namespace slipway::image {

// A bounded queue of byte buffers between one producing and one consuming thread. The buffers are
// allocated once, when first needed, and go round. Any thread may Cancel.
class ChunkQueue {
 public:
  ChunkQueue(size_t slots, size_t chunk_bytes);

  size_t chunk_bytes() const { return chunk_bytes_; }

  // Producer: a free buffer of chunk_bytes, after waiting for one; nullptr once cancelled. The same
  // buffer is returned until it is published.
  char* Acquire();
  // Producer: hands over the first `bytes` of the acquired buffer. Nothing happens when 0.
  void Publish(size_t bytes);
  // Producer: nothing more comes.
  void Close();

  // Consumer: the next bytes, valid until the next call; nullopt at the end or once cancelled.
  std::optional<absl::string_view> Next();

  // Both sides return at once from now on.
  void Cancel();
  bool cancelled() const;

 private:
  struct Slot {
    std::unique_ptr<char[]> bytes;
    size_t used = 0;
  };

  bool MayWrite() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  bool MayRead() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const size_t chunk_bytes_;
  mutable absl::Mutex mutex_;
  std::vector<Slot> slots_;  // each slot belongs to one side at a time, as head_ and tail_ say
  size_t head_ ABSL_GUARDED_BY(mutex_) = 0;  // published so far
  size_t tail_ ABSL_GUARDED_BY(mutex_) = 0;  // given back so far
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ = false;  // the consumer holds slot tail_
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_CHUNK_QUEUE_H_
