#include <string>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/rpc/status_conversion.h"
#include "image-service/rpc/image_service.h"

namespace slipway::image {
namespace {

// One HoldImages call: the hold lasts as long as the call. Deletes itself.
class HoldReactor : public grpc::ServerWriteReactor<v1::HoldImagesResponse> {
 public:
  HoldReactor(Catalog& catalog, std::string hold) : catalog_(catalog), hold_(std::move(hold)) {}

  void Begin() {
    const absl::Status opened = catalog_.OpenHold(hold_);
    open_ = opened.ok();
    if (open_) {
      StartWrite(&response_);
    } else {
      Finish(ToGrpc(opened));
    }
  }

  void OnCancel() override {
    // The end of a call that never began is told already.
    if (open_) Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the hold ended"));
  }
  void OnDone() override {
    if (open_) catalog_.CloseHold(hold_);
    delete this;
  }

 private:
  Catalog& catalog_;
  const std::string hold_;
  v1::HoldImagesResponse response_;
  bool open_ = false;  // set before anything else of the call can happen
};

}  // namespace

grpc::ServerWriteReactor<v1::HoldImagesResponse>* ImageServiceImpl::HoldImages(
    grpc::CallbackServerContext*, const v1::HoldImagesRequest* request) {
  auto* reactor = new HoldReactor(parts_.catalog, request->hold());
  reactor->Begin();
  return reactor;
}

}  // namespace slipway::image
