// Any bytes: no crash, no hang, and what is accepted is an image of the size that was said, which
// gives its tar back.
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/os/file.h"
#include "image-service/layer/layer_writer.h"
#include "image-service/layer/sha256.h"
#include "image-service/layer/tar_split.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  using slipway::image::LayerWriter;
  slipway::image::LayerOptions options = {.directory = "/tmp", .sync = false};
  options.accept_xz_and_bzip2 = true;
  options.keep_split = true;
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
  if (!result.ok()) return 0;
  if (result->image_bytes % 4096 != 0) abort();
  static const std::string path = "/tmp/layer_fuzz-" + std::to_string(getpid());
  if (!(*writer)->Commit(path).ok()) abort();
  const auto file = slipway::OpenFile(path, O_RDONLY);
  unlink(path.c_str());
  slipway::image::Sha256 hash;
  const absl::Status read = slipway::image::ReadSplitTar(
      file->get(), path, result->image_bytes, result->tar_bytes, [&](absl::string_view bytes) {
        hash.Update(bytes);
        return absl::OkStatus();
      });
  if (!read.ok() || hash.FinishDigest() != result->diff_id) abort();
  return 0;
}
