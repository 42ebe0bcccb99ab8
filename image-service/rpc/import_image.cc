#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/rpc/status_conversion.h"
#include "image-service/rpc/byte_queue.h"
#include "image-service/rpc/image_service.h"
#include "image-service/rpc/message_conversion.h"

namespace slipway::image {
namespace {

absl::StatusOr<ImportCommand> ParseOptions(const v1::ImportImageOptions& options) {
  ImportCommand command;
  if (!options.reference().empty()) {
    auto reference = ImageReference::Parse(options.reference());
    if (!reference.ok()) return reference.status();
    if (!reference->digest().empty()) {
      return absl::InvalidArgumentError("cannot import digest reference");
    }
    command.reference = reference->WithDefaultTag();
  }
  command.message = options.message();
  command.config = FromMessage(options.config());
  command.platform = FromMessage(options.platform());
  command.source = options.source();
  return command;
}

// One ImportImage call: options first, then data. Deletes itself.
class ImportReactor : public grpc::ServerReadReactor<v1::ImportImageRequest> {
 public:
  ImportReactor(const ImageServiceParts& parts, v1::ImportImageResponse* response)
      : parts_(parts), response_(response), queue_([this] { Receive(); }) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (started_) {
      Continue(ok);
    } else if (!ok || !request_.has_options()) {
      Finish(ToGrpc(absl::InvalidArgumentError("the first message must have the options")));
    } else {
      Start();
    }
  }
  void OnCancel() override { queue_.Abort(); }
  void OnDone() override { delete this; }

 private:
  void Start() {
    auto command = ParseOptions(request_.options());
    if (!command.ok()) {
      Finish(ToGrpc(command.status()));
      return;
    }
    started_ = true;
    const bool scheduled =
        parts_.jobs.TrySchedule([this, command = *std::move(command)] { Run(command); });
    if (!scheduled) {
      Finish(ToGrpc(absl::ResourceExhaustedError("too many pulls and loads at once")));
      return;
    }
    Receive();
  }

  void Continue(bool ok) {
    if (!ok) {
      queue_.End();
      return;
    }
    if (queue_.Push(std::move(*request_.mutable_data()))) Receive();
  }

  void Receive() {
    absl::MutexLock lock(&mu_);
    if (!finished_) StartRead(&request_);
  }

  void Run(const ImportCommand& command) {
    const absl::StatusOr<Digest> id = parts_.importer.Import(command, queue_);
    {
      absl::MutexLock lock(&mu_);
      finished_ = true;
    }
    if (id.ok()) response_->set_image_id(id->ToString());
    Finish(ToGrpc(id.status()));
  }

  const ImageServiceParts parts_;
  v1::ImportImageResponse* const response_;
  ByteQueue queue_;
  v1::ImportImageRequest request_;
  bool started_ = false;
  absl::Mutex mu_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // no reads any more
};

}  // namespace

grpc::ServerReadReactor<v1::ImportImageRequest>* ImageServiceImpl::ImportImage(
    grpc::CallbackServerContext*, v1::ImportImageResponse* response) {
  return new ImportReactor(parts_, response);
}

}  // namespace slipway::image
