#ifndef IMAGE_SERVICE_PORTS_CONTENT_STORE_H_
#define IMAGE_SERVICE_PORTS_CONTENT_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "image-service/domain/cancellation.h"
#include "image-service/domain/digest.h"
#include "image-service/domain/image.h"
#include "image-service/ports/layer_sink.h"

namespace slipway::image {

// A blob that is being written. Destroyed before Commit, a resumable one stays as it is for the
// next attempt, any other is gone. One thread at a time. Errors name the file; a full disk is
// ResourceExhausted and names the directory.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  virtual int64_t size_bytes() const = 0;
  // Calls `sink` with all that is there, in order; stops at its first error.
  virtual absl::Status ForEachChunk(const std::function<absl::Status(absl::string_view)>& sink) = 0;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  virtual absl::Status Sync() = 0;
  // Gives the blob its final name.
  virtual absl::Status Commit(const Digest& digest) = 0;
  // Drops what was written, also of a resumable one.
  virtual absl::Status Truncate() = 0;
  virtual void Discard() = 0;
};

// A complete blob, by position. Thread-safe.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  virtual int64_t size_bytes() const = 0;
  // Fills `data` as far as the blob goes; 0 at its end.
  virtual absl::StatusOr<size_t> ReadAt(int64_t offset, char* data, size_t size) = 0;
};

struct GzippedTar {
  Digest digest;
  std::unique_ptr<BlobReader> blob;
};

// The files of one host's images. Thread-safe. Names are only given to complete files.
class ContentStore {
 public:
  virtual ~ContentStore() = default;

  virtual std::string LayerPath(const Digest& diff_id) const = 0;
  virtual std::string BlobPath(const Digest& blob) const = 0;
  // At least `size_bytes` of it: a split may follow.
  virtual bool HasLayer(const Digest& diff_id, int64_t size_bytes) const = 0;
  virtual bool HasBlob(const Digest& blob, int64_t size_bytes) const = 0;

  virtual absl::StatusOr<std::unique_ptr<LayerSink>> NewLayer(const LayerSinkOptions& options) = 0;
  virtual absl::StatusOr<std::unique_ptr<BlobWriter>> NewBlob() = 0;
  // The blob as far as earlier attempts got. One writer per digest at a time.
  virtual absl::StatusOr<std::unique_ptr<BlobWriter>> ResumeBlob(const Digest& blob) = 0;
  // fdatasync of a layer file that has its name already.
  virtual absl::Status SyncLayer(const Digest& diff_id) = 0;
  // Differs after each boot of the host: what was not synced may have been lost in between.
  virtual std::string BootId() const = 0;
  // NotFound names a blob that is not there. What was opened stays readable when it is removed.
  virtual absl::StatusOr<std::unique_ptr<BlobReader>> OpenBlob(const Digest& blob) = 0;
  // Calls `sink` with the content of a layer's blob, or of the tar that its layer file is split
  // into, which is verified: DataLoss at its end when it is another.
  virtual absl::Status ReadBlob(const Layer& layer,
                                const std::function<absl::Status(absl::string_view)>& sink) = 0;
  // The tar of a layer that has no blob file, verified and compressed as registries like it, in a
  // file that goes away with its reader. The same tar gives the same bytes.
  virtual absl::StatusOr<GzippedTar> GzipTar(const Layer& layer, const Cancellation& cancel) = 0;

  // Takes the file away at once; what it occupied is freed after EmptyTrash, in the background.
  virtual absl::Status RemoveLayer(const Digest& diff_id) = 0;
  virtual absl::Status RemoveBlob(const Digest& blob) = 0;
  // What ResumeBlob would go on from.
  virtual absl::Status RemovePartial(const Digest& blob) = 0;
  virtual void EmptyTrash() = 0;
  // What arrived of layers that are not complete.
  virtual int64_t PartialBytes() const = 0;

  // At start: removes temporary files, partial blobs older than a day, and every layer and blob for
  // which `knows_layer`, `knows_blob` answer false. Returns how many layers and blobs went.
  virtual absl::StatusOr<int> Sweep(const std::function<bool(const Digest&)>& knows_layer,
                                    const std::function<bool(const Digest&)>& knows_blob) = 0;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_PORTS_CONTENT_STORE_H_
