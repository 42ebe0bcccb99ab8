#include "image-service/layer/layer_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/status/status_macros.h"
#include "image-service/layer/directory_writer.h"
#include "image-service/layer/erofs_image.h"
#include "image-service/layer/layer_tree.h"
#include "image-service/layer/tar_converter.h"

namespace slipway::image {
namespace {

// Large enough that igzip's 32 KiB window, copied at each call, does not matter; small enough that
// what one core wrote is still in the cache when the other reads it.
constexpr size_t kTarChunkBytes = 256 << 10;
constexpr size_t kTarChunks = 3;
constexpr size_t kCompressedChunkBytes = 64 << 10;
constexpr size_t kCompressedChunks = 4;

// A UUID that tells layers apart and is the same for the same layer: the start of the diffID.
std::array<uint8_t, 16> UuidOf(absl::string_view diff_id) {
  const std::string bytes = absl::HexStringToBytes(diff_id.substr(diff_id.find(':') + 1));
  std::array<uint8_t, 16> uuid = {};
  memcpy(uuid.data(), bytes.data(), std::min(bytes.size(), uuid.size()));
  return uuid;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LayerWriter>> LayerWriter::Create(const LayerOptions& options) {
  ASSIGN_OR_RETURN(LayerFile file, LayerFile::Create(options.directory));
  return std::unique_ptr<LayerWriter>(new LayerWriter(options, std::move(file)));
}

LayerWriter::LayerWriter(const LayerOptions& options, LayerFile file)
    : options_(options),
      file_(std::move(file)),
      // What comes for keeping its split comes plain.
      compressed_(kCompressedChunks, options.keep_split ? kTarChunkBytes : kCompressedChunkBytes),
      tar_(kTarChunks, kTarChunkBytes),
      decompressor_([this] { RunDecompression(); }),
      converter_([this] { RunConversion(); }) {}

LayerWriter::~LayerWriter() {
  compressed_.Cancel();
  tar_.Cancel();
  Join();
}

void LayerWriter::Join() {
  if (decompressor_.joinable()) decompressor_.join();
  if (converter_.joinable()) converter_.join();
}

void LayerWriter::Fail(const absl::Status& status) {
  {
    absl::MutexLock lock(&mutex_);
    if (failure_.ok()) failure_ = status;
  }
  compressed_.Cancel();
  tar_.Cancel();
}

absl::Status LayerWriter::failure() {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

absl::Status LayerWriter::Append(absl::string_view bytes) {
  if (finished_) return absl::FailedPreconditionError("Append after Finish");
  result_.compressed_bytes += bytes.size();
  while (!bytes.empty()) {
    if (pending_ == nullptr) {
      pending_ = compressed_.Acquire();
      pending_bytes_ = 0;
      if (pending_ == nullptr) return failure();
    }
    const size_t part = std::min(bytes.size(), compressed_.chunk_bytes() - pending_bytes_);
    memcpy(pending_ + pending_bytes_, bytes.data(), part);
    pending_bytes_ += part;
    bytes.remove_prefix(part);
    if (pending_bytes_ == compressed_.chunk_bytes()) PublishPending();
  }
  return absl::OkStatus();
}

void LayerWriter::PublishPending() {
  const absl::string_view bytes(pending_, pending_bytes_);
  if (!input_compression_.has_value()) input_compression_ = DetectCompression(bytes);
  // A plain tar's digest is its diffID.
  if (*input_compression_ != Compression::kNone) blob_hash_.Update(bytes);
  compressed_.Publish(pending_bytes_);
  pending_ = nullptr;
}

absl::StatusOr<LayerResult> LayerWriter::Finish() {
  if (finished_) return absl::FailedPreconditionError("Finish was called before");
  finished_ = true;
  if (pending_ != nullptr) PublishPending();
  compressed_.Close();
  Join();
  RETURN_IF_ERROR(failure());
  result_.digest = compression_ == Compression::kNone ? result_.diff_id : blob_hash_.FinishDigest();
  result_.compression = compression_;
  if (options_.sync) RETURN_IF_ERROR(file_.Sync());
  complete_ = true;
  return result_;
}

absl::StatusOr<bool> LayerWriter::SameAs(const std::string& path) const {
  if (!complete_) return absl::FailedPreconditionError("SameAs without a successful Finish");
  return file_.SameAs(path);
}

absl::Status LayerWriter::Commit(const std::string& path) {
  if (!complete_) return absl::FailedPreconditionError("Commit without a successful Finish");
  return file_.Commit(path);
}

void LayerWriter::RunDecompression() {
  const absl::string_view first = compressed_.Next().value_or("");
  compression_ = DetectCompression(first);
  const DecompressOptions options = {
      .max_output_bytes = options_.limits.max_tar_bytes,
      .limit_name = options_.limits.tar_limit_name,
      .max_zstd_window_log = options_.limits.max_zstd_window_log,
      .accept_xz_and_bzip2 = options_.accept_xz_and_bzip2,
      .on_plain = [this](absl::string_view bytes) { tar_hash_.Update(bytes); },
  };
  const absl::Status status = Decompress(compression_, first, &compressed_, &tar_, options);
  if (!status.ok()) return Fail(status);
  if (compression_ == Compression::kNone) result_.diff_id = tar_hash_.FinishDigest();
  tar_.Close();
}

std::optional<absl::string_view> LayerWriter::NextTarBytes() {
  if (split_.has_value()) {
    if (const absl::Status status = split_->Settle(); !status.ok()) {
      Fail(status);
      return std::nullopt;
    }
  }
  const std::optional<absl::string_view> bytes = tar_.Next();
  if (!bytes.has_value()) return bytes;
  // A plain tar has been hashed already.
  if (compression_ != Compression::kNone) tar_hash_.Update(*bytes);
  result_.tar_bytes += bytes->size();
  if (split_.has_value()) split_->Append(*bytes);
  return bytes;
}

void LayerWriter::RunConversion() {
  if (const absl::Status status = Convert(); !status.ok()) Fail(status);
}

absl::Status LayerWriter::Convert() {
  ErofsImage image(&file_, options_.limits.max_image_bytes);
  LayerTree tree(options_.limits);
  if (options_.keep_split) split_.emplace(options_.directory);
  TarConverter converter(options_.limits, &image, &tree, split_.has_value() ? &*split_ : nullptr);
  RETURN_IF_ERROR(converter.Run([this] { return NextTarBytes(); }));
  // What follows the tar's end mark belongs to the diffID.
  while (NextTarBytes().has_value()) {
  }
  if (tar_.cancelled()) return absl::CancelledError("cancelled");
  if (compression_ != Compression::kNone) result_.diff_id = tar_hash_.FinishDigest();
  result_.entry_count = converter.entry_count();
  result_.content_bytes = converter.content_bytes();
  result_.opaque_root = tree.directory(tree.node(LayerTree::kRoot)).is_opaque;
  RETURN_IF_ERROR(WriteDirectories(&tree, &image));
  ASSIGN_OR_RETURN(result_.image_bytes, image.Finish(UuidOf(result_.diff_id)));
  if (!split_.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(split_->Finish());
  ASSIGN_OR_RETURN(result_.split_bytes, split_->WriteTo(&file_, result_.image_bytes));
  split_.reset();
  return absl::OkStatus();
}

}  // namespace slipway::image
