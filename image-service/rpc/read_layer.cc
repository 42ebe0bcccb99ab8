#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/os/file.h"
#include "base/rpc/status_conversion.h"
#include "base/status/errno_status.h"
#include "image-service/rpc/image_service.h"

namespace slipway::image {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

// One ReadLayer call: a chunk is read when the one before is sent. Deletes itself.
class ReadLayerReactor : public grpc::ServerWriteReactor<v1::ReadLayerResponse> {
 public:
  void Begin(const ImageServiceParts& parts, const v1::ReadLayerRequest& request) {
    const absl::Status status = Open(parts, request);
    if (!status.ok()) {
      Finish(ToGrpc(status));
      return;
    }
    SendNext();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(ToGrpc(absl::CancelledError("the client went away")));
      return;
    }
    SendNext();
  }
  void OnDone() override { delete this; }

 private:
  absl::Status Open(const ImageServiceParts& parts, const v1::ReadLayerRequest& request) {
    const auto diff_id = Digest::Parse(request.diff_id());
    if (!diff_id.ok()) return diff_id.status();
    const auto layer = parts.catalog.FindLayer(*diff_id);
    if (!layer.ok()) return layer.status();
    if (request.offset_bytes() < 0 || request.offset_bytes() > layer->erofs_size_bytes) {
      return absl::OutOfRangeError(absl::StrCat(
          "offset ", request.offset_bytes(), " of a layer of ", layer->erofs_size_bytes, " bytes"));
    }
    offset_ = request.offset_bytes();
    end_ = layer->erofs_size_bytes;  // what follows is for this service alone
    path_ = parts.content.LayerPath(*diff_id);
    auto fd = OpenFile(path_, O_RDONLY);
    if (!fd.ok()) return fd.status();
    fd_ = *std::move(fd);
    return absl::OkStatus();
  }

  void SendNext() {
    std::string* data = response_.mutable_data();
    data->resize(static_cast<size_t>(std::min<int64_t>(kChunkBytes, end_ - offset_)));
    const ssize_t n = pread(fd_.get(), data->data(), data->size(), offset_);
    if (n <= 0) {
      Finish(n == 0 ? grpc::Status::OK : ToGrpc(ErrnoStatus(errno, absl::StrCat("read ", path_))));
      return;
    }
    data->resize(static_cast<size_t>(n));
    offset_ += n;
    StartWrite(&response_);
  }

  std::string path_;
  UniqueFd fd_;
  int64_t offset_ = 0;
  int64_t end_ = 0;
  v1::ReadLayerResponse response_;
};

}  // namespace

grpc::ServerWriteReactor<v1::ReadLayerResponse>* ImageServiceImpl::ReadLayer(
    grpc::CallbackServerContext*, const v1::ReadLayerRequest* request) {
  auto* reactor = new ReadLayerReactor();
  reactor->Begin(parts_, *request);
  return reactor;
}

}  // namespace slipway::image
