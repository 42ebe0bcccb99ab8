#ifndef IMAGE_SERVICE_STORE_GZIP_BLOB_WRITER_H_
#define IMAGE_SERVICE_STORE_GZIP_BLOB_WRITER_H_

#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "image-service/layer/chunk_queue.h"
#include "image-service/layer/sha256.h"
#include "image-service/ports/content_store.h"

namespace slipway::image {

// Compresses what is appended into another blob, in a thread of its own; Append blocks while that
// is busy with 1 MB. One thread at a time.
class GzipBlobWriter : public BlobWriter {
 public:
  explicit GzipBlobWriter(std::unique_ptr<BlobWriter> blob);
  ~GzipBlobWriter() override;

  // Of what was appended.
  int64_t size_bytes() const override { return appended_bytes_; }
  absl::Status ForEachChunk(const std::function<absl::Status(absl::string_view)>& sink) override;
  absl::Status Append(absl::string_view bytes) override;
  absl::StatusOr<std::optional<FinishedBlob>> Finish() override;
  // These are for what was compressed, after Finish.
  absl::Status Sync() override { return blob_->Sync(); }
  absl::Status Commit(const Digest& digest) override { return blob_->Commit(digest); }
  absl::Status Truncate() override;
  void Discard() override { blob_->Discard(); }

 private:
  void Run();
  absl::Status Compress();
  void Join();

  const std::unique_ptr<BlobWriter> blob_;  // the thread's until it is joined
  ChunkQueue queue_;
  Sha256 hash_;
  int64_t appended_bytes_ = 0;
  char* pending_ = nullptr;
  size_t pending_bytes_ = 0;
  absl::Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_STORE_GZIP_BLOB_WRITER_H_
