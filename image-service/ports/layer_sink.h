#ifndef IMAGE_SERVICE_PORTS_LAYER_SINK_H_
#define IMAGE_SERVICE_PORTS_LAYER_SINK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/digest.h"

namespace slipway::image {

enum class LayerEncoding { kTar, kGzip, kZstd, kOther };

// What became known of a layer while its bytes went by.
struct ConvertedLayer {
  Digest blob;
  Digest diff_id;
  int64_t blob_size_bytes = 0;
  int64_t tar_size_bytes = 0;
  int64_t content_size_bytes = 0;  // of the files in the tar
  int64_t erofs_size_bytes = 0;
  int64_t split_size_bytes = 0;  // behind the layer file; 0: none was asked for
  int64_t entries = 0;
  LayerEncoding encoding = LayerEncoding::kTar;
  // The layers below this one are hidden whole and must be left out of the stack.
  bool opaque_root = false;
};

struct LayerSinkOptions {
  // Also xz and bzip2, which `docker import` takes and registries do not have.
  bool any_compression = false;
  // The finished file alone gives the tar back, and is on disk when Finish returns.
  bool keep_split = false;
};

// Turns the bytes of one layer (a tar: plain, gzip or zstd) into an EROFS file that has no name
// until it is committed; destroyed before that, it leaves nothing. One thread at a time.
class LayerSink {
 public:
  virtual ~LayerSink() = default;
  // InvalidArgument or DataLoss for bytes that are no layer, ResourceExhausted for a full disk.
  // After an error only destruction is allowed.
  virtual absl::Status Append(absl::string_view bytes) = 0;
  virtual absl::StatusOr<ConvertedLayer> Finish() = 0;
  // Whether the file at `path` has the finished file's content, with or without a split behind it
  // where this has none; false also when it is missing.
  virtual absl::StatusOr<bool> SameAs(const std::string& path) = 0;
  // Gives the finished file its name. Without a split its content is not synced.
  virtual absl::Status Commit(const std::string& path) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_LAYER_SINK_H_
