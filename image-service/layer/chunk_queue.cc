#include "image-service/layer/chunk_queue.h"

namespace slipway::image {

ChunkQueue::ChunkQueue(size_t slots, size_t chunk_bytes)
    : chunk_bytes_(chunk_bytes), slots_(slots) {}

bool ChunkQueue::MayWrite() const { return cancelled_ || head_ - tail_ < slots_.size(); }

bool ChunkQueue::MayRead() const { return cancelled_ || closed_ || head_ != tail_; }

char* ChunkQueue::Acquire() {
  Slot* slot;
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &ChunkQueue::MayWrite));
    if (cancelled_) return nullptr;
    slot = &slots_[head_ % slots_.size()];
  }
  if (slot->bytes == nullptr) slot->bytes.reset(new char[chunk_bytes_]);
  return slot->bytes.get();
}

void ChunkQueue::Publish(size_t bytes) {
  if (bytes == 0) return;
  absl::MutexLock lock(&mutex_);
  slots_[head_ % slots_.size()].used = bytes;
  ++head_;
}

void ChunkQueue::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

std::optional<absl::string_view> ChunkQueue::Next() {
  absl::MutexLock lock(&mutex_);
  if (reading_) {
    ++tail_;
    reading_ = false;
  }
  mutex_.Await(absl::Condition(this, &ChunkQueue::MayRead));
  if (cancelled_ || head_ == tail_) return std::nullopt;
  reading_ = true;
  const Slot& slot = slots_[tail_ % slots_.size()];
  return absl::string_view(slot.bytes.get(), slot.used);
}

void ChunkQueue::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
}

bool ChunkQueue::cancelled() const {
  absl::MutexLock lock(&mutex_);
  return cancelled_;
}

}  // namespace slipway::image
