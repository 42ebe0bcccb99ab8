#ifndef IMAGE_SERVICE_LAYER_LAYER_LIMITS_H_
#define IMAGE_SERVICE_LAYER_LAYER_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace slipway::image {

// What a layer may ask for. A layer that exceeds a limit is refused with InvalidArgument naming the
// limit, and the entry where there is one.
struct LayerLimits {
  // The tar stream after decompression; bounds what a compression bomb costs.
  uint64_t max_tar_bytes = uint64_t{128} << 30;
  std::string tar_limit_name;  // what sets it, for the error; empty: not told
  // The layer file with the holes of sparse files in it. The format ends at 16 TiB.
  uint64_t max_image_bytes = uint64_t{1} << 40;
  // Files, directories and so on, including parent directories that the tar does not name.
  uint64_t max_entries = 2'000'000;
  size_t max_path_bytes = 4096;
  size_t max_name_bytes = 255;  // Linux's NAME_MAX
  size_t max_depth = 1024;
  // Extended attributes of one entry, names included.
  size_t max_xattr_bytes = 128 << 10;
  // What is held in memory until the end: names, symlink targets, xattrs of directories.
  size_t max_metadata_bytes = 256 << 20;
  // Base-2 logarithm of the largest zstd window; the decoder allocates that much when a frame asks.
  int max_zstd_window_log = 27;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_LAYER_LIMITS_H_
