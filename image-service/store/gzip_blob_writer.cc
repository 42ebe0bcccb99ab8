#include "image-service/store/gzip_blob_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/status/status_macros.h"
#include "image-service/layer/gzip_stream.h"

namespace slipway::image {
namespace {

constexpr size_t kChunks = 4;
constexpr size_t kChunkBytes = 256 << 10;

}  // namespace

GzipBlobWriter::GzipBlobWriter(std::unique_ptr<BlobWriter> blob)
    : blob_(std::move(blob)), queue_(kChunks, kChunkBytes), thread_([this] { Run(); }) {}

GzipBlobWriter::~GzipBlobWriter() {
  queue_.Cancel();
  Join();
}

void GzipBlobWriter::Join() {
  if (thread_.joinable()) thread_.join();
}

absl::Status GzipBlobWriter::ForEachChunk(const std::function<absl::Status(absl::string_view)>&) {
  return absl::FailedPreconditionError("a blob that is being compressed cannot be read");
}

absl::Status GzipBlobWriter::Truncate() {
  return absl::FailedPreconditionError("a blob that is being compressed cannot begin again");
}

absl::Status GzipBlobWriter::Append(absl::string_view bytes) {
  appended_bytes_ += static_cast<int64_t>(bytes.size());
  while (!bytes.empty()) {
    if (pending_ == nullptr) {
      pending_ = queue_.Acquire();
      pending_bytes_ = 0;
      if (pending_ == nullptr) {
        absl::MutexLock lock(&mu_);
        return failure_;
      }
    }
    const size_t part = std::min(bytes.size(), kChunkBytes - pending_bytes_);
    memcpy(pending_ + pending_bytes_, bytes.data(), part);
    pending_bytes_ += part;
    bytes.remove_prefix(part);
    if (pending_bytes_ == kChunkBytes) {
      queue_.Publish(pending_bytes_);
      pending_ = nullptr;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<FinishedBlob>> GzipBlobWriter::Finish() {
  if (pending_ != nullptr) queue_.Publish(pending_bytes_);
  pending_ = nullptr;
  queue_.Close();
  Join();
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(failure_);
  }
  ASSIGN_OR_RETURN(Digest digest, Digest::Parse(hash_.FinishDigest()));
  return std::optional<FinishedBlob>(FinishedBlob{std::move(digest), blob_->size_bytes()});
}

void GzipBlobWriter::Run() {
  const absl::Status status = Compress();
  if (status.ok()) return;
  {
    absl::MutexLock lock(&mu_);
    failure_ = status;
  }
  queue_.Cancel();
}

absl::Status GzipBlobWriter::Compress() {
  GzipStream stream([this](absl::string_view bytes) {
    hash_.Update(bytes);
    return blob_->Append(bytes);
  });
  while (const std::optional<absl::string_view> bytes = queue_.Next()) {
    RETURN_IF_ERROR(stream.Append(*bytes));
  }
  if (queue_.cancelled()) return absl::CancelledError("cancelled");
  return stream.Finish();
}

}  // namespace slipway::image
