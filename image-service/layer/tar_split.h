#ifndef IMAGE_SERVICE_LAYER_TAR_SPLIT_H_
#define IMAGE_SERVICE_LAYER_TAR_SPLIT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/layer/layer_file.h"

// What a layer's tar has beside the content of its files, so that the tar can be put together again
// from the layer file, byte by byte, and need not be kept. docs/tar-split.md has the format.
namespace slipway::image {

// Notes a tar while it is converted. Up to 1 MB of what comes out is in memory, more in a file
// without a name. Not thread-safe.
class TarSplitWriter {
 public:
  // `directory` as LayerFile has it.
  explicit TarSplitWriter(std::string directory);
  ~TarSplitWriter();

  // The next bytes of the tar, which stay valid until Settle.
  void Append(absl::string_view bytes);
  // Where in the tar `bytes` are, which lie within the bytes appended last; none when they do not.
  std::optional<uint64_t> PositionOf(absl::string_view bytes) const;
  // `size_bytes` of the tar from `position` on stand in the layer file at `file_offset`. Ascending.
  // What is not among the bytes appended last is kept as it is.
  void Cover(uint64_t position, uint64_t size_bytes, uint64_t file_offset);
  // Takes what has to be kept of the bytes appended last.
  absl::Status Settle();
  // After Settle.
  absl::Status Finish();

  // Writes all of it to `file` from `offset` on, after Finish. Its size.
  absl::StatusOr<uint64_t> WriteTo(LayerFile* file, uint64_t offset) const;

 private:
  struct Compressor;
  struct Span {
    uint64_t position;
    uint64_t size_bytes;
    uint64_t file_offset;
  };

  absl::Status AddLiteral(absl::string_view bytes);
  absl::Status AddSpan(uint64_t file_offset, uint64_t size_bytes);
  absl::Status EmitStep();
  absl::Status Compress(absl::string_view bytes, bool end);
  absl::Status Spill();

  const std::string directory_;
  const std::unique_ptr<Compressor> compressor_;
  absl::string_view bytes_;  // appended last
  uint64_t start_ = 0;       // of these in the tar
  std::vector<Span> spans_;  // of these

  // The step being gathered.
  std::string literal_;
  uint64_t span_offset_ = 0;
  uint64_t span_bytes_ = 0;

  // What came out.
  std::string out_;
  std::optional<LayerFile> spill_;
  uint64_t spilled_bytes_ = 0;
};

// Gives `sink` the tar of the layer file `fd`, whose split begins at `split_offset`; stops at the
// sink's first error. DataLoss, naming `path`, for what cannot be the split of a tar of
// `tar_bytes`; that the tar is the right one its digest has to show. Thread-safe.
absl::Status ReadSplitTar(int fd, const std::string& path, uint64_t split_offset,
                          uint64_t tar_bytes,
                          const std::function<absl::Status(absl::string_view)>& sink);

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_LAYER_TAR_SPLIT_H_
