// Any bytes: no crash, no hang, and what is accepted is an image of the size that was said.
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "image-service/layer/layer_writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  using slipway::image::LayerWriter;
  slipway::image::LayerOptions options = {.directory = "/tmp", .sync = false};
  options.accept_xz_and_bzip2 = true;
  options.limits.max_tar_bytes = 8 << 20;
  options.limits.max_image_bytes = 64 << 20;
  options.limits.max_entries = 10'000;
  options.limits.max_metadata_bytes = 4 << 20;
  options.limits.max_zstd_window_log = 20;
  auto writer = LayerWriter::Create(options);
  if (!writer.ok()) abort();
  const absl::string_view blob(reinterpret_cast<const char*>(data), size_bytes);
  const size_t half = size_bytes / 2;
  if (!(*writer)->Append(blob.substr(0, half)).ok()) return 0;
  if (!(*writer)->Append(blob.substr(half)).ok()) return 0;
  const auto result = (*writer)->Finish();
  if (result.ok() && result->image_bytes % 4096 != 0) abort();
  return 0;
}
