#ifndef IMAGE_SERVICE_DOMAIN_LAYER_INTAKE_H_
#define IMAGE_SERVICE_DOMAIN_LAYER_INTAKE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/worker_pool.h"
#include "image-service/ports/content_store.h"
#include "image-service/ports/metrics.h"

namespace slipway::image {

// Where layers come in, whatever brings them. Thread-safe; the parts outlive it.
struct IntakeParts {
  Catalog& catalog;
  ContentStore& content;
  ImageMetrics& metrics;
  WorkerPool& syncer;  // writes finished layer files to disk behind the caller's back
};

// One layer on its way in, in one pass: its bytes go through the conversion to the layer file, and
// as they are to the blob file, or nowhere else: then the layer file keeps a split, and the blob is
// the tar. One thread at a time. Destroyed before Commit it leaves nothing but what a resumable
// blob keeps.
class LayerIntake {
 public:
  static absl::StatusOr<std::unique_ptr<LayerIntake>> Create(IntakeParts parts,
                                                             std::unique_ptr<BlobWriter> blob,
                                                             bool any_compression);
  // Without a blob file.
  static absl::StatusOr<std::unique_ptr<LayerIntake>> CreateSplit(IntakeParts parts,
                                                                  bool any_compression);

  // Sends what the blob file has already through the conversion.
  absl::Status Replay();
  absl::Status Append(absl::string_view bytes);

  // Of one with a blob file.
  int64_t size_bytes() const { return blob_->size_bytes(); }
  BlobWriter& blob() { return *blob_; }

  // Completes, checks against `expected` (empty: takes any), syncs the blob and records the layer.
  // DataLoss when the digest is another. A layer file beside a blob is synced afterwards, in the
  // background: a power cut before that makes the next start convert the blob again.
  absl::StatusOr<LayerLease> Commit(const Digest& expected, const std::string& media_type);

 private:
  LayerIntake(IntakeParts parts, std::unique_ptr<BlobWriter> blob, std::unique_ptr<LayerSink> sink);

  void SyncBehind(const Layer& layer) const;

  IntakeParts parts_;
  std::unique_ptr<BlobWriter> blob_;  // null: none
  std::unique_ptr<LayerSink> sink_;
  const absl::Time begin_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_DOMAIN_LAYER_INTAKE_H_
