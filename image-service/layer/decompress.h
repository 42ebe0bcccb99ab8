#ifndef IMAGE_SERVICE_LAYER_DECOMPRESS_H_
#define IMAGE_SERVICE_LAYER_DECOMPRESS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/chunk_queue.h"

namespace slipway::image {

enum class Compression { kNone, kGzip, kZstd, kXz, kBzip2 };

// By the magic number at the start of the stream; what has none is kNone.
Compression DetectCompression(absl::string_view start);

absl::string_view CompressionName(Compression compression);

struct DecompressOptions {
  uint64_t max_output_bytes = UINT64_MAX;
  std::string limit_name;  // what sets the limit; empty: not told
  int max_zstd_window_log = 27;
  // Layers of registries are gzip, zstd or plain; `docker import` also takes xz and bzip2.
  bool accept_xz_and_bzip2 = false;
  // Gets what goes through because it is not compressed, while it is at hand.
  std::function<void(absl::string_view)> on_plain;
};

// Moves everything from `in` to `out`, decompressed, until `in` ends or a queue is cancelled. Gzip
// members and zstd frames may follow each other, nothing else may follow them. Leaves `out` open.
// DataLoss for a damaged or truncated stream, InvalidArgument for one that passes a limit,
// Cancelled after a queue was cancelled. Runs on the consuming thread of `in`, the producing one of
// `out`.
absl::Status Decompress(Compression compression, absl::string_view first, ChunkQueue* in,
                        ChunkQueue* out, const DecompressOptions& options);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_DECOMPRESS_H_
