#include <string>
#include <utility>
#include <vector>

#include "base/rpc/status_conversion.h"
#include "image-service/rpc/blocking_writer.h"
#include "image-service/rpc/image_service.h"

namespace slipway::image {
namespace {

constexpr size_t kMessageBytes = 1 << 20;

// One SaveImages call. Small pieces are gathered. Deletes itself, after the job has finished it.
class SaveReactor : public grpc::ServerWriteReactor<v1::SaveImagesResponse> {
 public:
  SaveReactor() : writer_(this) {}

  void Begin(const ImageServiceParts& parts, const v1::SaveImagesRequest& request) {
    Saver& saver = parts.saver;
    std::vector<std::string> references(request.references().begin(), request.references().end());
    const bool scheduled = parts.jobs.TrySchedule(
        [this, &saver, references = std::move(references)] { Run(saver, references); });
    if (!scheduled) Finish(ToGrpc(TooManyJobs()));
  }

  void OnWriteDone(bool ok) override { writer_.OnWriteDone(ok); }
  void OnDone() override { delete this; }

 private:
  void Run(Saver& saver, const std::vector<std::string>& references) {
    absl::Status status =
        saver.Save(references, [this](absl::string_view bytes) { return Take(bytes); });
    if (status.ok()) status = Flush();
    writer_.Drain();
    Finish(ToGrpc(status));
  }

  absl::Status Take(absl::string_view bytes) {
    gathered_.append(bytes.data(), bytes.size());
    return gathered_.size() < kMessageBytes ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    if (gathered_.empty()) return absl::OkStatus();
    v1::SaveImagesResponse message;
    message.set_data(std::exchange(gathered_, std::string()));
    gathered_.reserve(kMessageBytes + (512 << 10));
    return writer_.Write(std::move(message));
  }

  BlockingWriter<SaveReactor, v1::SaveImagesResponse> writer_;
  std::string gathered_;  // the job's
};

}  // namespace

grpc::ServerWriteReactor<v1::SaveImagesResponse>* ImageServiceImpl::SaveImages(
    grpc::CallbackServerContext*, const v1::SaveImagesRequest* request) {
  auto* reactor = new SaveReactor();
  reactor->Begin(parts_, *request);
  return reactor;
}

}  // namespace slipway::image
