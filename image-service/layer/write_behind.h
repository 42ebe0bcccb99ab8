#ifndef IMAGE_SERVICE_LAYER_WRITE_BEHIND_H_
#define IMAGE_SERVICE_LAYER_WRITE_BEHIND_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/os/direct_file.h"
#include "image-service/layer/layer_file.h"

namespace slipway::image {

// Direct writes (layer_file.h) in threads of their own, which start with the first: the disk works
// while the next buffer is filled, and has the next write when it is done with one. Used by one
// thread, which does no direct writes itself meanwhile; the file must outlive this.
class WriteBehind {
 public:
  // `buffer_bytes` is a multiple of kDirectAlignment.
  WriteBehind(LayerFile* file, size_t buffer_bytes) : file_(file), buffer_bytes_(buffer_bytes) {}
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Takes a full buffer, whose `size_bytes` belong at `offset`, and gives another one for it.
  // Errors are those of any write so far.
  absl::StatusOr<AlignedBuffer> Write(AlignedBuffer buffer, uint64_t offset, size_t size_bytes);
  // Waits until all is written.
  absl::Status Drain();

 private:
  static constexpr size_t kWriters = 2;
  struct Job {
    AlignedBuffer buffer;
    uint64_t offset;
    size_t size_bytes;
  };
  void Run();

  LayerFile* const file_;
  const size_t buffer_bytes_;
  absl::Mutex mu_;
  std::deque<Job> waiting_ ABSL_GUARDED_BY(mu_);
  size_t unwritten_ ABSL_GUARDED_BY(mu_) = 0;  // those that wait, and those being written
  std::vector<AlignedBuffer> spare_ ABSL_GUARDED_BY(mu_);
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_WRITE_BEHIND_H_
