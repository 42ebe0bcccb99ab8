#ifndef SERVICES_BUILD_CLIENTS_IMAGE_CLIENT_H_
#define SERVICES_BUILD_CLIENTS_IMAGE_CLIENT_H_

#include <grpcpp/channel.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/build/ports/images.h"
#include "slipway/image/v1/image.grpc.pb.h"

namespace slipway::build {

// The image service, for one build: its calls end when that is cancelled. Thread-safe.
class ImageClient : public Images {
 public:
  // `auths` are by registry host. `cancellation` outlives it.
  ImageClient(const std::shared_ptr<grpc::Channel>& channel, Cancellation& cancellation,
              std::map<std::string, image::v1::RegistryAuth> auths = {});

  absl::StatusOr<ImageInfo> Get(const std::string& reference) override;
  absl::StatusOr<ImageInfo> Pull(const std::string& reference, const Platform& platform,
                                 const std::function<void(absl::string_view)>& progress) override;
  absl::StatusOr<PathInfo> Stat(const std::string& image, const std::string& path) override;
  absl::Status ReadFiles(const std::string& image, const std::string& path,
                         const std::function<absl::Status(FileInfo)>& on_file,
                         const std::function<absl::Status(absl::string_view)>& on_data) override;
  absl::StatusOr<std::string> Commit(
      const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) override;
  absl::Status Tag(const std::string& image, const std::string& name) override;
  absl::Status Remove(const std::string& image) override;
  absl::StatusOr<std::vector<ImageSummary>> List() override;

 private:
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (image::v1::ImageService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request);

  const std::unique_ptr<image::v1::ImageService::Stub> stub_;
  Cancellation& cancellation_;
  const std::map<std::string, image::v1::RegistryAuth> auths_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_IMAGE_CLIENT_H_
