#ifndef IMAGE_SERVICE_LAYER_EXTENT_BUFFER_H_
#define IMAGE_SERVICE_LAYER_EXTENT_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/layer_file.h"

namespace slipway::image {

// Gathers writes that follow each other in the file into large ones. A small step forward is filled
// with zeros, any other flushes. Offsets must not go back into bytes already written through the
// same buffer unless they were flushed. The file must outlive the buffer. Not thread-safe.
class ExtentBuffer {
 public:
  ExtentBuffer(LayerFile* file, size_t capacity_bytes)
      : file_(file), capacity_bytes_(capacity_bytes) {}

  absl::Status WriteAt(uint64_t offset, absl::string_view bytes);
  absl::Status Flush();

 private:
  LayerFile* file_;
  const size_t capacity_bytes_;
  std::unique_ptr<char[]> buffer_;
  uint64_t start_ = 0;
  size_t used_ = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_EXTENT_BUFFER_H_
