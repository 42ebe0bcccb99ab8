#ifndef IMAGE_SERVICE_LAYER_EXTENT_BUFFER_H_
#define IMAGE_SERVICE_LAYER_EXTENT_BUFFER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/os/direct_file.h"
#include "image-service/layer/layer_file.h"
#include "image-service/layer/write_behind.h"

namespace slipway::image {

// Gathers writes that follow each other in the file into large ones. A small step forward is filled
// with zeros, any other flushes. Offsets must not go back into bytes already written through the
// same buffer unless they were flushed. The file must outlive the buffer. Not thread-safe.
//
// From `direct_from_bytes` on, what begins at a block's start goes past the page cache, filled up
// with zeros to whole blocks: for content that has its blocks to itself.
class ExtentBuffer {
 public:
  ExtentBuffer(LayerFile* file, size_t capacity_bytes, uint64_t direct_from_bytes = UINT64_MAX)
      : file_(file),
        capacity_bytes_(capacity_bytes),
        direct_from_bytes_(direct_from_bytes),
        behind_(file, capacity_bytes) {}

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes);
  absl::Status Flush();
  // Flushes, and waits until everything has been written.
  absl::Status Drain();

 private:
  LayerFile* file_;
  const size_t capacity_bytes_;  // a multiple of kDirectAlignment
  const uint64_t direct_from_bytes_;
  AlignedBuffer buffer_;
  uint64_t start_ = 0;
  size_t used_ = 0;
  WriteBehind behind_;  // for direct writes
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_EXTENT_BUFFER_H_
