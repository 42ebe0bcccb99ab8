#ifndef SERVICES_BUILD_CLIENTS_IMAGE_CLIENT_H_
#define SERVICES_BUILD_CLIENTS_IMAGE_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/call_once.h"
#include "services/build/ports/images.h"
#include "slipway/image/v1/image.grpc.pb.h"

namespace slipway::build {

// The image service, for one build: its calls end when that is cancelled, and what it used is held
// there until the destructor. Thread-safe.
class ImageClient : public Images {
 public:
  // `door` is where that service takes files of this host; empty: nowhere. `auths` are by registry
  // host. `cancellation` outlives it.
  ImageClient(const std::shared_ptr<grpc::Channel>& channel, std::string door,
              Cancellation& cancellation,
              std::map<std::string, image::v1::RegistryAuth> auths = {});

  ~ImageClient() override;

  absl::StatusOr<ImageInfo> Get(const std::string& reference) override;
  absl::StatusOr<ImageInfo> Pull(const std::string& reference, const Platform& platform,
                                 const std::function<void(absl::string_view)>& progress) override;
  absl::StatusOr<PathInfo> Stat(const std::string& image, const std::string& path) override;
  absl::Status ReadFiles(const std::string& image, const std::string& path,
                         const std::function<absl::Status(FileInfo)>& on_file,
                         const std::function<absl::Status(absl::string_view)>& on_data) override;
  absl::StatusOr<std::string> Commit(
      const NewImage& image, const std::function<absl::Status(const TarSink&)>& produce) override;
  absl::StatusOr<std::string> Squash(const std::string& image, const std::string& ancestor,
                                     int64_t created_unix_ns) override;
  absl::Status Tag(const std::string& image, const std::string& name) override;
  absl::Status Remove(const std::string& image) override;
  absl::StatusOr<std::vector<ImageSummary>> List() override;

 private:
  void OpenHold();

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (image::v1::ImageService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request, absl::Duration time = kCallTime);

  static constexpr absl::Duration kCallTime = absl::Seconds(60);

  const std::unique_ptr<image::v1::ImageService::Stub> stub_;
  const std::string door_;
  const std::string hold_;  // its name
  Cancellation& cancellation_;
  // The call that the hold lasts as long as; opened by the first Get or Commit.
  absl::once_flag hold_once_;
  grpc::ClientContext hold_context_;
  std::unique_ptr<grpc::ClientReader<image::v1::HoldImagesResponse>> hold_call_;
  const std::map<std::string, image::v1::RegistryAuth> auths_;
};

}  // namespace slipway::build

#endif  // SERVICES_BUILD_CLIENTS_IMAGE_CLIENT_H_
