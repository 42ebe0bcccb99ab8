#include <boost/asio/experimental/awaitable_operators.hpp>

#include "absl/strings/str_cat.h"
#include "gateway/docker/progress.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::image::v1;
using LoadStream = BidiStream<pb::LoadImageRequest, pb::LoadImageResponse>;

constexpr size_t kPieceBytes = 256 << 10;

// The body into the call. What breaks is the body: the call's own outcome tells of the rest.
Awaitable<absl::Status> Upload(Exchange& http, LoadStream stream) {
  while (true) {
    pb::LoadImageRequest piece;
    std::string& data = *piece.mutable_data();
    data.resize(kPieceBytes);
    auto count = co_await http.ReadSome(data.data(), data.size());
    if (!count.ok()) {
      stream->Cancel();
      co_return count.status();
    }
    if (*count == 0) break;
    data.resize(*count);
    const bool taken = co_await stream->Write(std::move(piece));
    if (!taken) co_return absl::OkStatus();
  }
  stream->WritesDone();
  co_return absl::OkStatus();
}

std::string Message(const pb::LoadImageResponse& response, bool quiet) {
  if (response.has_layer()) return quiet ? "" : LayerMessage(response.layer(), /*loading=*/true);
  if (!response.has_loaded()) return "";
  const pb::LoadedImage& loaded = response.loaded();
  return StreamMessage(loaded.reference().empty()
                           ? absl::StrCat("Loaded image ID: ", loaded.image_id(), "\n")
                           : absl::StrCat("Loaded image: ", loaded.reference(), "\n"));
}

// The progress out of the call, to the client.
Awaitable<absl::Status> Download(Exchange& http, LoadStream stream, bool quiet) {
  pb::LoadImageResponse response;
  absl::Status written;
  while (co_await stream->Next(response)) {
    const std::string message = Message(response, quiet);
    if (message.empty() || !written.ok()) continue;
    if (!http.started()) written = co_await http.BeginStream(200, "application/json");
    if (written.ok()) written = co_await http.Write(message);
    if (!written.ok()) stream->Cancel();
  }
  co_return written;
}

}  // namespace

Awaitable<absl::Status> ImageLoad(ApiRequest& request) {
  using boost::asio::experimental::awaitable_operators::operator&&;
  if (request.query.Has("platform")) {
    co_return absl::UnimplementedError("option platform of image load is not supported");
  }
  const bool quiet = request.query.GetBool("quiet");
  Exchange& http = request.http;
  LoadStream stream =
      request.backends.Bidi(request.backends.image(), &ImageCalls::LoadImage, request.endless());
  auto [uploaded, downloaded] = co_await (Upload(http, stream) && Download(http, stream, quiet));
  absl::Status finished = co_await stream->Finish();
  CO_RETURN_IF_ERROR(downloaded);
  // A broken body is the reason for the cancelled call.
  if (!uploaded.ok()) finished = uploaded;
  if (!finished.ok()) {
    if (!http.started()) co_return finished;
    const std::string message =
        ErrorMessage(absl::string_view(finished.message().data(), finished.message().size()));
    CO_RETURN_IF_ERROR(co_await http.Write(message));
  }
  if (!http.started()) CO_RETURN_IF_ERROR(co_await http.BeginStream(200, "application/json"));
  co_return co_await http.EndStream();
}

}  // namespace slipway::gateway
