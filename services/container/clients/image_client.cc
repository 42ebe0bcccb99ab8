#include "services/container/clients/image_client.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/rpc/channel.h"
#include "base/rpc/status_conversion.h"
#include "base/status/status_macros.h"
#include "services/container/clients/pending_call.h"
#include "services/container/codec/spec_codec.h"

namespace slipway::container {
namespace {

constexpr std::chrono::seconds kConnectWait(5);
constexpr absl::Duration kCallTime = absl::Seconds(30);
constexpr int kAttempts = 3;

Image GetImage(const image::v1::Image& message) {
  Image image;
  image.id = message.id();
  image.config = codec::GetImageConfig(message.config());
  for (const auto& layer : message.layers()) {
    // An opaque root hides everything below it: overlayfs knows no such mark on a layer's root.
    if (layer.opaque_root()) image.layer_diff_ids.clear();
    image.layer_diff_ids.push_back(layer.diff_id());
  }
  image.platform = Platform{message.platform().os(), message.platform().architecture(),
                            message.platform().variant()};
  return image;
}

image::v1::AcquireImageRequest AcquireRequest(const std::string& reference,
                                              const std::string& owner) {
  image::v1::AcquireImageRequest request;
  request.set_reference(reference);
  request.set_owner(owner);
  return request;
}

}  // namespace

ImageClient::ImageClient(absl::string_view address)
    : channel_(NewChannel(address)), stub_(image::v1::ImageService::NewStub(channel_)) {}

absl::Status ImageClient::WaitForConnection() {
  if (channel_->GetState(true) == GRPC_CHANNEL_READY ||
      channel_->WaitForConnected(std::chrono::system_clock::now() + kConnectWait)) {
    return absl::OkStatus();
  }
  return absl::UnavailableError("the image service does not answer");
}

template <typename Async, typename Request, typename Response>
absl::StatusOr<Response> ImageClient::Call(void (Async::*method)(grpc::ClientContext*,
                                                                 const Request*, Response*,
                                                                 std::function<void(grpc::Status)>),
                                           const Request& request) {
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    RETURN_IF_ERROR(WaitForConnection());
    PendingCall<Request, Response> call(stub_->async(), method, request, absl::Now() + kCallTime);
    status = FromGrpc(call.Finish());
    if (status.ok()) return std::move(call.response());
    if (!absl::IsUnavailable(status)) return status;
  }
  return absl::UnavailableError(
      absl::StrCat("the image service does not answer: ", status.message()));
}

absl::StatusOr<Image> ImageClient::Acquire(const std::string& reference, const std::string& owner) {
  ASSIGN_OR_RETURN(const auto response, Call(&image::v1::ImageService::Stub::async::AcquireImage,
                                             AcquireRequest(reference, owner)));
  return GetImage(response.image());
}

std::function<absl::StatusOr<Image>()> ImageClient::BeginAcquire(const std::string& reference,
                                                                 const std::string& owner) {
  using Stub = image::v1::ImageService::Stub;
  if (const absl::Status connected = WaitForConnection(); !connected.ok()) {
    return [connected] { return connected; };
  }
  auto pending = BeginCall(stub_->async(), &Stub::async::AcquireImage,
                           AcquireRequest(reference, owner), absl::Now() + kCallTime);
  return [this, pending, reference, owner]() -> absl::StatusOr<Image> {
    const absl::Status status = FromGrpc(pending->Finish());
    if (absl::IsUnavailable(status)) return Acquire(reference, owner);
    RETURN_IF_ERROR(status);
    return GetImage(pending->response().image());
  };
}

absl::Status ImageClient::Release(const std::string& owner) {
  image::v1::ReleaseImageRequest request;
  request.set_owner(owner);
  return Call(&image::v1::ImageService::Stub::async::ReleaseImage, request).status();
}

std::function<absl::Status()> ImageClient::BeginRelease(const std::string& owner) {
  using Stub = image::v1::ImageService::Stub;
  if (const absl::Status connected = WaitForConnection(); !connected.ok()) {
    return [connected] { return connected; };
  }
  image::v1::ReleaseImageRequest request;
  request.set_owner(owner);
  auto pending =
      BeginCall(stub_->async(), &Stub::async::ReleaseImage, request, absl::Now() + kCallTime);
  return [this, pending, owner] {
    const absl::Status status = FromGrpc(pending->Finish());
    return absl::IsUnavailable(status) ? Release(owner) : status;
  };
}

absl::StatusOr<std::vector<std::string>> ImageClient::ListOwners() {
  ASSIGN_OR_RETURN(const auto response, Call(&image::v1::ImageService::Stub::async::ListImageOwners,
                                             image::v1::ListImageOwnersRequest()));
  return codec::GetList(response.owners());
}

absl::StatusOr<int64_t> ImageClient::SizeOf(const std::string& image_id) {
  image::v1::GetImageRequest request;
  request.set_reference(image_id);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&image::v1::ImageService::Stub::async::GetImage, request));
  return response.image().size_bytes();
}

absl::StatusOr<std::string> ImageClient::Resolve(const std::string& reference) {
  image::v1::GetImageRequest request;
  request.set_reference(reference);
  ASSIGN_OR_RETURN(const auto response,
                   Call(&image::v1::ImageService::Stub::async::GetImage, request));
  return response.image().id();
}

absl::StatusOr<std::string> ImageClient::Commit(
    const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) {
  RETURN_IF_ERROR(WaitForConnection());
  grpc::ClientContext context;
  image::v1::CommitImageResponse response;
  const auto writer = stub_->CommitImage(&context, &response);
  image::v1::CommitImageRequest first;
  image::v1::CommitImageOptions& options = *first.mutable_options();
  options.set_parent(image.parent);
  options.set_reference(image.reference);
  codec::PutImageConfig(image.config, options.mutable_config());
  options.set_author(image.author);
  options.set_message(image.message);
  options.set_created_by(image.created_by);
  options.set_container_id(image.container_id);
  options.set_created_unix_ns(image.created_unix_ns);
  options.set_latest_mtime_unix_s(image.latest_mtime_unix_s);
  bool open = writer->Write(first);
  const absl::Status produced = produce([&](TarPiece piece) -> absl::Status {
    image::v1::CommitImageRequest request;
    if (piece.pipe.empty()) {
      request.set_data(std::move(piece.bytes));
    } else {
      request.set_pipe(std::move(piece.pipe));
    }
    open = open && writer->Write(request);
    return open ? absl::OkStatus() : absl::CancelledError("the image service takes no more");
  });
  // An end of the stream would make an image of half a layer.
  if (produced.ok()) {
    writer->WritesDone();
  } else {
    context.TryCancel();
  }
  const absl::Status finished = FromGrpc(writer->Finish());
  // Where the image service refused, the other side fails for that reason alone.
  if (!produced.ok() && (finished.ok() || absl::IsCancelled(finished))) return produced;
  RETURN_IF_ERROR(finished);
  return response.image_id();
}

}  // namespace slipway::container
