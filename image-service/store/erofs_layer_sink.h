#ifndef IMAGE_SERVICE_STORE_EROFS_LAYER_SINK_H_
#define IMAGE_SERVICE_STORE_EROFS_LAYER_SINK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "image-service/layer/layer_writer.h"
#include "image-service/ports/layer_sink.h"

namespace slipway::image {

struct ErofsLayerOptions {
  std::string directory;  // on the file system of the final path
  bool accept_xz_and_bzip2 = false;
  bool keep_split = false;
  uint64_t max_tar_bytes = 0;
  std::string limit_name;  // of the option that says so, for who meets it
};

// LayerSink on the layer library. One thread at a time.
class ErofsLayerSink : public LayerSink {
 public:
  static absl::StatusOr<std::unique_ptr<LayerSink>> Create(const ErofsLayerOptions& options);

  absl::Status Append(absl::string_view bytes) override { return writer_->Append(bytes); }
  absl::StatusOr<ConvertedLayer> Finish() override;
  absl::StatusOr<bool> SameAs(const std::string& path) override { return writer_->SameAs(path); }
  absl::Status Commit(const std::string& path) override { return writer_->Commit(path); }

 private:
  explicit ErofsLayerSink(std::unique_ptr<LayerWriter> writer) : writer_(std::move(writer)) {}
  const std::unique_ptr<LayerWriter> writer_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_STORE_EROFS_LAYER_SINK_H_
