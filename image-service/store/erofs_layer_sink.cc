#include "image-service/store/erofs_layer_sink.h"

#include "base/status/status_macros.h"

namespace slipway::image {

absl::StatusOr<std::unique_ptr<LayerSink>> ErofsLayerSink::Create(
    const ErofsLayerOptions& options) {
  LayerOptions layer;
  layer.directory = options.directory;
  layer.accept_xz_and_bzip2 = options.accept_xz_and_bzip2;
  layer.keep_split = options.keep_split;
  layer.sync = options.keep_split;
  layer.limits.max_tar_bytes = options.max_tar_bytes;
  layer.limits.tar_limit_name = options.limit_name;
  ASSIGN_OR_RETURN(std::unique_ptr<LayerWriter> writer, LayerWriter::Create(layer));
  return std::unique_ptr<LayerSink>(new ErofsLayerSink(std::move(writer)));
}

absl::StatusOr<ConvertedLayer> ErofsLayerSink::Finish() {
  ASSIGN_OR_RETURN(const LayerResult result, writer_->Finish());
  ConvertedLayer layer;
  ASSIGN_OR_RETURN(layer.blob, Digest::Parse(result.digest));
  ASSIGN_OR_RETURN(layer.diff_id, Digest::Parse(result.diff_id));
  layer.blob_size_bytes = static_cast<int64_t>(result.compressed_bytes);
  layer.tar_size_bytes = static_cast<int64_t>(result.tar_bytes);
  layer.erofs_size_bytes = static_cast<int64_t>(result.image_bytes);
  layer.split_size_bytes = static_cast<int64_t>(result.split_bytes);
  layer.content_size_bytes = static_cast<int64_t>(result.content_bytes);
  layer.entries = static_cast<int64_t>(result.entry_count);
  layer.opaque_root = result.opaque_root;
  switch (result.compression) {
    case Compression::kNone:
      layer.encoding = LayerEncoding::kTar;
      break;
    case Compression::kGzip:
      layer.encoding = LayerEncoding::kGzip;
      break;
    case Compression::kZstd:
      layer.encoding = LayerEncoding::kZstd;
      break;
    default:
      layer.encoding = LayerEncoding::kOther;
      break;
  }
  return layer;
}

}  // namespace slipway::image
