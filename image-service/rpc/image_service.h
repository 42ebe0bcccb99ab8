#ifndef IMAGE_SERVICE_RPC_IMAGE_SERVICE_H_
#define IMAGE_SERVICE_RPC_IMAGE_SERVICE_H_

#include "base/os/descriptor_door.h"
#include "image-service/domain/catalog.h"
#include "image-service/domain/commit.h"
#include "image-service/domain/import.h"
#include "image-service/domain/load.h"
#include "image-service/domain/pull.h"
#include "image-service/domain/push.h"
#include "image-service/domain/save.h"
#include "image-service/domain/scrub.h"
#include "image-service/domain/worker_pool.h"
#include "slipway/image/v1/image.grpc.pb.h"

namespace slipway::image {

// What the service calls; all outlive it.
struct ImageServiceParts {
  Catalog& catalog;
  ContentStore& content;
  Registry& registry;
  ImageFormat& format;
  Puller& puller;
  Pusher& pusher;
  Loader& loader;
  Importer& importer;
  Committer& committer;
  Saver& saver;
  Scrubber& scrubber;
  WorkerPool& jobs;      // for what blocks: transfers, loads, saves
  DescriptorDoor* door;  // where files of this host come in; null: nowhere
};

inline absl::Status TooManyJobs() {
  return absl::ResourceExhaustedError("too many pulls, pushes, loads and saves at once");
}

// Streams use the callback API, so that a slow client costs no thread.
template <typename Base>
using WithTransfers = v1::ImageService::WithCallbackMethod_PullImage<
    v1::ImageService::WithCallbackMethod_PushImage<v1::ImageService::WithCallbackMethod_LoadImage<
        v1::ImageService::WithCallbackMethod_SaveImages<
            v1::ImageService::WithCallbackMethod_ReadImageFiles<
                v1::ImageService::WithCallbackMethod_ImportImage<
                    v1::ImageService::WithCallbackMethod_CommitImage<Base>>>>>>>;
template <typename Base>
using WithJobs = v1::ImageService::WithCallbackMethod_InspectDistribution<
    v1::ImageService::WithCallbackMethod_SearchImages<
        v1::ImageService::WithCallbackMethod_CheckRegistryAuth<
            v1::ImageService::WithCallbackMethod_ScrubImages<
                v1::ImageService::WithCallbackMethod_SquashImage<Base>>>>>;
template <typename Base>
using WithWatches = v1::ImageService::WithCallbackMethod_WatchImageEvents<
    v1::ImageService::WithCallbackMethod_HoldImages<Base>>;
using ImageServiceBase = WithJobs<WithTransfers<
    v1::ImageService::WithCallbackMethod_ReadLayer<WithWatches<v1::ImageService::Service>>>>;

// slipway.image.v1.ImageService: checks the request, calls the domain, converts the answer.
// Thread-safe.
class ImageServiceImpl : public ImageServiceBase {
 public:
  explicit ImageServiceImpl(ImageServiceParts parts) : parts_(parts) {}

  grpc::ServerWriteReactor<v1::PullImageResponse>* PullImage(
      grpc::CallbackServerContext* context, const v1::PullImageRequest* request) override;
  grpc::ServerBidiReactor<v1::LoadImageRequest, v1::LoadImageResponse>* LoadImage(
      grpc::CallbackServerContext* context) override;
  grpc::ServerReadReactor<v1::ImportImageRequest>* ImportImage(
      grpc::CallbackServerContext* context, v1::ImportImageResponse* response) override;
  grpc::ServerWriteReactor<v1::PushImageResponse>* PushImage(
      grpc::CallbackServerContext* context, const v1::PushImageRequest* request) override;
  grpc::ServerWriteReactor<v1::SaveImagesResponse>* SaveImages(
      grpc::CallbackServerContext* context, const v1::SaveImagesRequest* request) override;
  grpc::ServerReadReactor<v1::CommitImageRequest>* CommitImage(
      grpc::CallbackServerContext* context, v1::CommitImageResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadImageFilesResponse>* ReadImageFiles(
      grpc::CallbackServerContext* context, const v1::ReadImageFilesRequest* request) override;
  grpc::ServerUnaryReactor* SquashImage(grpc::CallbackServerContext* context,
                                        const v1::SquashImageRequest* request,
                                        v1::SquashImageResponse* response) override;
  grpc::ServerWriteReactor<v1::HoldImagesResponse>* HoldImages(
      grpc::CallbackServerContext* context, const v1::HoldImagesRequest* request) override;
  grpc::ServerUnaryReactor* InspectDistribution(grpc::CallbackServerContext* context,
                                                const v1::InspectDistributionRequest* request,
                                                v1::InspectDistributionResponse* response) override;
  grpc::ServerUnaryReactor* ScrubImages(grpc::CallbackServerContext* context,
                                        const v1::ScrubImagesRequest* request,
                                        v1::ScrubImagesResponse* response) override;
  grpc::ServerUnaryReactor* SearchImages(grpc::CallbackServerContext* context,
                                         const v1::SearchImagesRequest* request,
                                         v1::SearchImagesResponse* response) override;
  grpc::ServerUnaryReactor* CheckRegistryAuth(grpc::CallbackServerContext* context,
                                              const v1::CheckRegistryAuthRequest* request,
                                              v1::CheckRegistryAuthResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadLayerResponse>* ReadLayer(
      grpc::CallbackServerContext* context, const v1::ReadLayerRequest* request) override;
  grpc::ServerWriteReactor<v1::WatchImageEventsResponse>* WatchImageEvents(
      grpc::CallbackServerContext* context, const v1::WatchImageEventsRequest* request) override;

  grpc::Status ListImages(grpc::ServerContext* context, const v1::ListImagesRequest* request,
                          v1::ListImagesResponse* response) override;
  grpc::Status GetImage(grpc::ServerContext* context, const v1::GetImageRequest* request,
                        v1::GetImageResponse* response) override;
  grpc::Status TagImage(grpc::ServerContext* context, const v1::TagImageRequest* request,
                        v1::TagImageResponse* response) override;
  grpc::Status RemoveImage(grpc::ServerContext* context, const v1::RemoveImageRequest* request,
                           v1::RemoveImageResponse* response) override;
  grpc::Status PruneImages(grpc::ServerContext* context, const v1::PruneImagesRequest* request,
                           v1::PruneImagesResponse* response) override;
  grpc::Status GetDiskUsage(grpc::ServerContext* context, const v1::GetDiskUsageRequest* request,
                            v1::GetDiskUsageResponse* response) override;
  grpc::Status AcquireImage(grpc::ServerContext* context, const v1::AcquireImageRequest* request,
                            v1::AcquireImageResponse* response) override;
  grpc::Status ReleaseImage(grpc::ServerContext* context, const v1::ReleaseImageRequest* request,
                            v1::ReleaseImageResponse* response) override;
  grpc::Status ListImageOwners(grpc::ServerContext* context,
                               const v1::ListImageOwnersRequest* request,
                               v1::ListImageOwnersResponse* response) override;
  grpc::Status GetLayer(grpc::ServerContext* context, const v1::GetLayerRequest* request,
                        v1::GetLayerResponse* response) override;
  grpc::Status StatImagePath(grpc::ServerContext* context, const v1::StatImagePathRequest* request,
                             v1::StatImagePathResponse* response) override;
  grpc::Status GetVersion(grpc::ServerContext* context,
                          const slipway::common::v1::GetVersionRequest* request,
                          slipway::common::v1::GetVersionResponse* response) override;

 private:
  const ImageServiceParts parts_;
};

}  // namespace slipway::image

#endif  // IMAGE_SERVICE_RPC_IMAGE_SERVICE_H_
