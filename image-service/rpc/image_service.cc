#include "image-service/rpc/image_service.h"

#include "base/rpc/status_conversion.h"
#include "base/service/service.h"
#include "image-service/rpc/message_conversion.h"

namespace slipway::image {

grpc::Status ImageServiceImpl::ListImages(grpc::ServerContext*,
                                          const v1::ListImagesRequest* request,
                                          v1::ListImagesResponse* response) {
  const auto views = parts_.catalog.List(FromMessage(*request));
  if (!views.ok()) return ToGrpc(views.status());
  for (const ImageView& view : *views) *response->add_images() = ToSummary(view);
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::GetImage(grpc::ServerContext*, const v1::GetImageRequest* request,
                                        v1::GetImageResponse* response) {
  const auto view = request->hold().empty()
                        ? parts_.catalog.Get(request->reference())
                        : parts_.catalog.Hold(request->reference(), request->hold());
  if (!view.ok()) return ToGrpc(view.status());
  *response->mutable_image() = ToMessage(*view);
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::TagImage(grpc::ServerContext*, const v1::TagImageRequest* request,
                                        v1::TagImageResponse*) {
  return ToGrpc(parts_.catalog.Tag(request->source(), request->target()));
}

grpc::Status ImageServiceImpl::RemoveImage(grpc::ServerContext*,
                                           const v1::RemoveImageRequest* request,
                                           v1::RemoveImageResponse* response) {
  RemoveCommand command{.reference = request->reference(),
                        .force = request->force(),
                        .keep_parents = request->no_prune()};
  if (request->knows_running()) {
    command.running_owners.emplace(request->running_owners().begin(),
                                   request->running_owners().end());
  }
  const auto outcome = parts_.catalog.Remove(command);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  response->mutable_untagged()->Add(outcome->untagged.begin(), outcome->untagged.end());
  response->mutable_deleted()->Add(outcome->deleted.begin(), outcome->deleted.end());
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::PruneImages(grpc::ServerContext*,
                                           const v1::PruneImagesRequest* request,
                                           v1::PruneImagesResponse* response) {
  const auto outcome = parts_.catalog.Prune(FromMessage(*request));
  if (!outcome.ok()) return ToGrpc(outcome.status());
  response->mutable_untagged()->Add(outcome->untagged.begin(), outcome->untagged.end());
  response->mutable_deleted()->Add(outcome->deleted.begin(), outcome->deleted.end());
  response->set_reclaimed_bytes(outcome->freed_bytes);
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::GetDiskUsage(grpc::ServerContext*, const v1::GetDiskUsageRequest*,
                                            v1::GetDiskUsageResponse* response) {
  const DiskUsage usage = parts_.catalog.Usage();
  for (const ImageView& view : usage.images) *response->add_images() = ToMessage(view);
  response->set_layers_size_bytes(usage.layers_size_bytes);
  response->set_blob_bytes(usage.blob_bytes);
  response->set_layer_file_bytes(usage.layer_file_bytes);
  response->set_partial_bytes(parts_.content.PartialBytes());
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::AcquireImage(grpc::ServerContext*,
                                            const v1::AcquireImageRequest* request,
                                            v1::AcquireImageResponse* response) {
  const auto view = parts_.catalog.Acquire(request->reference(), request->owner());
  if (!view.ok()) return ToGrpc(view.status());
  *response->mutable_image() = ToMessage(*view);
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::ReleaseImage(grpc::ServerContext*,
                                            const v1::ReleaseImageRequest* request,
                                            v1::ReleaseImageResponse*) {
  return ToGrpc(parts_.catalog.Release(request->owner()));
}

grpc::Status ImageServiceImpl::ListImageOwners(grpc::ServerContext*,
                                               const v1::ListImageOwnersRequest*,
                                               v1::ListImageOwnersResponse* response) {
  for (std::string& owner : parts_.catalog.Owners()) response->add_owners(std::move(owner));
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::GetLayer(grpc::ServerContext*, const v1::GetLayerRequest* request,
                                        v1::GetLayerResponse* response) {
  const auto diff_id = Digest::Parse(request->diff_id());
  if (!diff_id.ok()) return ToGrpc(diff_id.status());
  const auto layer = parts_.catalog.FindLayer(*diff_id);
  if (!layer.ok()) return ToGrpc(layer.status());
  response->set_local_path(parts_.content.LayerPath(*diff_id));
  response->set_size_bytes(layer->erofs_size_bytes);
  return grpc::Status::OK;
}

grpc::Status ImageServiceImpl::GetVersion(grpc::ServerContext*,
                                          const slipway::common::v1::GetVersionRequest*,
                                          slipway::common::v1::GetVersionResponse* response) {
  response->mutable_version()->set_version(std::string(Version()));
  return grpc::Status::OK;
}

}  // namespace slipway::image
