#include "absl/strings/str_cat.h"
#include "gateway/clients/upload_call.h"
#include "gateway/docker/image_reference.h"
#include "gateway/docker/import_changes.h"
#include "gateway/docker/progress.h"
#include "gateway/endpoints/handlers.h"

namespace slipway::gateway {
namespace {

namespace pb = slipway::image::v1;

constexpr size_t kPieceBytes = 256 << 10;

absl::StatusOr<pb::ImportImageOptions> Options(const Query& query) {
  pb::ImportImageOptions options;
  const std::string source = query.Get("fromSrc");
  if (source != "-") {
    return absl::UnimplementedError(
        absl::StrCat("import from a URL (", source, ") is not supported: send the archive"));
  }
  const std::string repository = query.Get("repo");
  if (!repository.empty()) {
    const std::string tag = query.Get("tag");
    options.set_reference(tag.empty() ? repository : absl::StrCat(repository, ":", tag));
  }
  options.set_message(query.Get("message"));
  options.set_source(source);
  for (const std::string& change : query.All("changes")) {
    RETURN_IF_ERROR(ApplyChange(change, *options.mutable_config()));
  }
  const std::string platform = query.Get("platform");
  if (!platform.empty()) {
    ASSIGN_OR_RETURN(*options.mutable_platform(), ParsePlatform(platform));
  }
  return options;
}

}  // namespace

Awaitable<absl::Status> ImageImport(ApiRequest& request) {
  pb::ImportImageRequest first;
  CO_ASSIGN_OR_RETURN(*first.mutable_options(), Options(request.query));
  auto upload = OpenUpload(request.backends.calls(), request.backends.image(),
                           &ImageCalls::ImportImage, request.endless());
  bool taken = co_await upload->Write(std::move(first));
  while (taken) {
    pb::ImportImageRequest piece;
    std::string& data = *piece.mutable_data();
    data.resize(kPieceBytes);
    CO_ASSIGN_OR_RETURN(const size_t count,
                        co_await request.http.ReadSome(data.data(), data.size()));
    if (count == 0) break;
    data.resize(count);
    taken = co_await upload->Write(std::move(piece));
  }
  CO_ASSIGN_OR_RETURN(const pb::ImportImageResponse imported, co_await upload->Finish());
  CO_RETURN_IF_ERROR(co_await request.http.BeginStream(200, "application/json"));
  const std::string message = StatusMessage(imported.image_id());
  CO_RETURN_IF_ERROR(co_await request.http.Write(message));
  co_return co_await request.http.EndStream();
}

}  // namespace slipway::gateway
