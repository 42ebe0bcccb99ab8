#ifndef SERVICES_LOG_STORE_UNPACK_AHEAD_H_
#define SERVICES_LOG_STORE_UNPACK_AHEAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "services/log/ports/log_store.h"
#include "services/log/store/segment_bytes.h"

namespace slipway::log {

// Frames [first, last) into `bytes`, which grows as needed; `size` is what they have.
void UnpackFrames(const SegmentFile& file, size_t first, size_t last, std::vector<char>& bytes,
                  size_t& size);

// Unpacks frames for a reader that goes through a sealed segment: a thread of its own does what
// comes next, and the reader, where that is not ready, what comes behind it. To be used by one
// thread at a time.
class UnpackAhead {
 public:
  // From frame `first` on, those that are `wanted` (null: all), up to `most_bytes` together where
  // they follow each other.
  UnpackAhead(std::shared_ptr<const SegmentFile> file, const FrameChoice& wanted, size_t first,
              size_t most_bytes);
  UnpackAhead(const UnpackAhead&) = delete;
  UnpackAhead& operator=(const UnpackAhead&) = delete;
  ~UnpackAhead();

  // Swaps into the buffer what begins with the frame. False: that is not what comes next.
  bool Take(const SegmentFile& file, size_t frame, ReadBuffer& buffer);

 private:
  struct Range {
    size_t first = 0;
    size_t last = 0;
    bool done = false;
    std::vector<char> bytes;
    size_t size = 0;
  };

  Range* TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unpack(Range& range) ABSL_LOCKS_EXCLUDED(mu_);
  void Run();

  const std::shared_ptr<const SegmentFile> file_;
  absl::Mutex mu_;
  std::vector<Range> ranges_;              // of each its bytes belong to who unpacks it until done
  size_t front_ ABSL_GUARDED_BY(mu_) = 0;  // the reader's next
  size_t next_ ABSL_GUARDED_BY(mu_) = 0;   // the first that nobody has taken
  std::vector<std::vector<char>> spare_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace slipway::log

#endif  // SERVICES_LOG_STORE_UNPACK_AHEAD_H_
